import { randomUUID } from 'node:crypto';
import type { ObjectReader } from '../blobs/blob-store.ts';
import type { StreamChecker } from '../blobs/check-thread.ts';
import { OBJECTS_PREFIX, PACKAGES_PREFIX } from '../blobs/key-layout.ts';
import { emptyRebuildReport } from '../core/rebuild-report.ts';
import type { RetentionClasses } from '../core/retention.ts';
import type { StoreId } from '../core/store-identity.ts';
import type { RebuildRecord, RebuildStage } from '../registry/rebuilds.ts';
import type { Registry } from '../registry/registry.ts';
import { hasAny, readMark, type StorePlaces, StoreRefusedError } from './identify-store.ts';
import { rebuildObjects } from './rebuild-objects.ts';
import { rebuildPackages } from './rebuild-packages.ts';
import type { Rebuild } from './rebuild-run.ts';
import { recordChange } from './record-change.ts';
import { SYSTEM } from './services.ts';
import { settleRebuild } from './settle-rebuild.ts';
import { takeKeys } from './stored-keys.ts';

export interface RebuildNeeds {
  registry: Registry;
  objects: ObjectReader;
  /** Each has a thread that reads objects. */
  checkers: readonly StreamChecker[];
  /** As the configuration has them. */
  classes: RetentionClasses;
  places: StorePlaces;
  signal: AbortSignal;
  /** Told now and then how far it is. */
  tell: (record: Pick<RebuildRecord, 'stage' | 'report'>) => void;
}

const STAGES = ['packages', 'objects', 'settling'] as const;

/**
 * Fills an empty registry from its store: packages and decisions, then every object, whose bytes are read. A rebuild that died goes
 * on where it was; until it has ended no service starts on the registry. @throws StoreRefusedError, and nothing is changed
 */
export async function rebuildFromStorage(needs: RebuildNeeds): Promise<RebuildRecord> {
  const { registry, objects, classes, places } = needs;
  const begun = await registry.read.rebuilds.get();
  const mark = await readMark({ objects });
  const registryId = await registry.read.stores.getId();
  if (mark === 'foreign' || (registryId !== null && registryId !== mark)) throw refusal('foreign_store', places);
  if (begun === null || begun.ended_at !== null) await assertEmpty(registry, places);
  if (!(await hasAny({ objects }, PACKAGES_PREFIX)) && !(await hasAny({ objects }, OBJECTS_PREFIX)))
    throw refusal('nothing_stored', places);

  const run = randomUUID();
  await registry.transaction(async (tables) => {
    const now = await tables.now();
    await tables.rebuilds.begin(run, emptyRebuildReport(), now);
    await tables.retention.syncClasses(classes);
    if (mark !== null) await tables.stores.setId(mark as StoreId, now);
  });
  await takeKeys({ registry, objects });
  return runStages(needs, run);
}

/** Before a service, or anything else, works on a registry. @throws StoreRefusedError */
export async function assertRebuilt(registry: Registry, places: Pick<StorePlaces, 'registry'>): Promise<void> {
  const rebuild = await registry.read.rebuilds.get();
  if (rebuild === null || rebuild.ended_at !== null) return;
  throw new StoreRefusedError(
    'rebuild_unfinished',
    `The registry (${places.registry}) is being filled from its store, and is not whole yet. Run \`artifact-store rebuild --from-storage\` again: it goes on where it stopped.`,
  );
}

async function runStages({ registry, objects, checkers, classes, signal, tell }: RebuildNeeds, run: string) {
  const begun = (await registry.read.rebuilds.get()) as RebuildRecord;
  let { stage, after, report } = begun;
  const rebuild: Rebuild = {
    registry,
    objects,
    checkers,
    classes,
    signal,
    run,
    get report() {
      return report;
    },
    async step(now, done, work) {
      const next = await registry.transaction(async (tables) => {
        const mine = structuredClone(report);
        // First: of two processes one goes on.
        await tables.rebuilds.advance(run, now, done ?? after, mine);
        await work(tables, mine);
        await tables.rebuilds.advance(run, now, done ?? after, mine);
        return mine;
      });
      report = next;
      after = done ?? after;
      tell({ stage: now, report });
    },
  };
  const begin = async (next: RebuildStage): Promise<void> => {
    await registry.transaction(({ rebuilds }) => rebuilds.advance(run, next, '', report));
    [stage, after] = [next, ''];
  };
  for (const [place, work] of [rebuildPackages, rebuildObjects, settleRebuild].entries()) {
    if (stage !== STAGES[place]) continue;
    await work(rebuild, after);
    if (place + 1 < STAGES.length) await begin(STAGES[place + 1] as RebuildStage);
  }
  await registry.transaction(async (tables) => {
    const now = await tables.now();
    await tables.rebuilds.end(run, report, now);
    const { packages, tombstones, files, decisions, objects: amount } = report;
    const detail = { packages, tombstones, files, decisions, objects: amount.count };
    await recordChange(tables, SYSTEM, { at: now, action: 'registry.rebuilt', package_id: null, detail });
  });
  return (await registry.read.rebuilds.get()) as RebuildRecord;
}

async function assertEmpty({ read }: Registry, places: StorePlaces): Promise<void> {
  if (!(await read.packages.any()) && (await read.blobs.sample(2)).length === 0) return;
  throw refusal('registry_in_use', places);
}

function refusal(code: 'foreign_store' | 'nothing_stored' | 'registry_in_use', { registry, store }: StorePlaces) {
  const message = {
    foreign_store: `The store (${store}) does not belong to the registry (${registry}): nothing was changed. Correct the configuration, or name a registry that is new.`,
    nothing_stored: `The store (${store}) has no packages and no objects: there is nothing to fill a registry from. Correct the configuration.`,
    registry_in_use: `The registry (${registry}) has packages or objects: only an empty one is filled from the store. \`artifact-store rebuild --compare\` tells how the two differ.`,
  }[code];
  return new StoreRefusedError(code, message);
}

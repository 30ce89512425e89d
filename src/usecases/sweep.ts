import { isStoreError, StoreError } from '../core/errors.ts';
import { newId } from '../core/ids.ts';
import { addTo, emptyReport, type SweepReport } from '../core/sweep-report.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import type { SweepRecord } from '../registry/sweeps.ts';
import type { SweptObject } from '../registry/unneeded-objects.ts';
import { compareStore, type Stray } from './compare-store.ts';
import { condemnUnneeded } from './condemn-objects.ts';
import { dropLateKeys, endUnfinished } from './free-leftovers.ts';
import { unknownPackages } from './inspect-packages.ts';
import { lookUpObjects } from './look-up-objects.ts';
import { removeBegun, removeDue } from './remove-objects.ts';
import { type Caller, type Services, SYSTEM, type WithObjects, type WithUploads } from './services.ts';

export interface SweepOptions {
  /** Else it only says what it would do. */
  apply: boolean;
  /** Compares both sides although the store knows of packages that the registry does not: from then on sweeps may act. */
  reconcile: boolean;
}

/** Of what `unknown_packages` names. */
const NAMED = 100;
/** A body that was received may wait long until storage has taken it. */
const SPOOL_GRACE_MS = 86_400_000;
/** How often a sweep says in the registry how far it is, ms. */
const NOTE_MS = 2_000;
/** Keys in one answer of a list, and in one request that removes (S3). */
const KEYS_AT_ONCE = 1_000;

type Needed = Services<WithUploads & WithObjects>;

/** Begins a sweep, which goes on after the answer. @returns as it is in the registry @throws StoreError unavailable */
export async function startSweep(services: Needed, caller: Caller, options: SweepOptions): Promise<SweepRecord> {
  const { registry } = services;
  const report = emptyReport();
  const { sweep, now } = await registry.transaction(async (tables) => {
    const now = await tables.now();
    const sweep = { id: newId('swp', now), asked_by: caller.actor, ...options, started_at: now, report };
    await tables.sweeps.add(sweep);
    return { sweep, now };
  });
  services.inBackground(`sweep ${sweep.id}`, async (signal) => {
    const failure = await sweepNow(services, caller, options, sweep.id, report, signal).then(
      () => null,
      (thrown: unknown) => {
        services.log.warn({ err: thrown, sweep: sweep.id }, 'a sweep failed');
        const message = thrown instanceof Error ? thrown.message : String(thrown);
        return { code: isStoreError(thrown) ? thrown.code : 'internal', message };
      },
    );
    services.meters.freed(report.freed.count, report.freed.bytes);
    await registry.transaction(async (tables) => tables.sweeps.end(sweep.id, report, failure, await tables.now()));
    services.log.info({ sweep: sweep.id, ...options, ...report }, 'a sweep ended');
  });
  return (await registry.read.sweeps.get(sweep.id, now)) as SweepRecord;
}

/** @throws StoreError sweep_not_found */
export async function getSweep({ registry }: Services, id: string): Promise<SweepRecord> {
  const sweep = await registry.read.sweeps.get(id, await registry.read.now());
  if (sweep === null) throw new StoreError('sweep_not_found', `There is no sweep ${JSON.stringify(id.slice(0, 100))}.`);
  return sweep;
}

/** The newest first. */
export async function listSweeps({ registry }: Services, limit: number): Promise<SweepRecord[]> {
  return registry.read.sweeps.list(limit, await registry.read.now());
}

/** What the schedule does whenever it looks: of any number of services one begins a sweep. @param interval ms */
export async function sweepWhenDue(services: Needed, interval: number): Promise<void> {
  const isDue = await services.registry.transaction(async ({ sweeps, now }) => sweeps.isDue(await now(), interval));
  if (isDue) await startSweep(services, SYSTEM, { apply: true, reconcile: false });
}

/**
 * One sweep: first it finds out what there is on both sides, then it condemns what nothing needs, then it removes what was condemned
 * long enough ago. Any number may run at once, on any replica; each may die anywhere. @throws StoreError registry_older
 */
async function sweepNow(
  services: Needed,
  caller: Caller,
  { apply, reconcile }: SweepOptions,
  id: string,
  report: SweepReport,
  signal: AbortSignal,
): Promise<void> {
  const { registry, sweepGraceMs: grace } = services;
  const now = await registry.read.now();
  const before = now - grace;
  let notedAt = Date.now();
  const pause = async (): Promise<void> => {
    signal.throwIfAborted();
    if (Date.now() < notedAt + NOTE_MS) return;
    notedAt = Date.now();
    await registry.transaction(async ({ sweeps, now }) => sweeps.note(id, report, await now()));
  };
  let keys = 0;
  const seen = (): void => {
    keys += 1;
    if (keys % KEYS_AT_ONCE === 1) report.requests += 1;
  };

  const since = reconcile ? null : await registry.read.stores.getReconciledAt();
  const { manifests, decisions } = await unknownPackages(services, since, seen);
  report.unknown_packages = [...new Set([...manifests, ...decisions])].toSorted().slice(0, NAMED);
  if (apply && (manifests.size > 0 || (decisions.size > 0 && !reconcile)))
    throw registryOlder(report.unknown_packages, manifests.size > 0);
  if (apply && !reconcile) await assertReconciled(registry.read);
  await pause();

  const strays = await compare(services, before, apply || reconcile, report, seen, pause);
  // What the registry does not know may be all that is left of what it has lost, and of packages that it never heard of.
  const mayRemoveUnknown = manifests.size === 0 && !(await registry.read.blobs.anyLostIsNeeded());
  if (!mayRemoveUnknown) {
    addTo(report.unknown_kept, report.unknown.bytes, report.unknown.count);
    report.unknown = { count: 0, bytes: 0 };
  }
  if (apply && (strays.leftover || (strays.unknown && mayRemoveUnknown))) {
    await removeStrays(services, before, mayRemoveUnknown, report, pause);
  }

  const removed = async (objects: readonly SweptObject[]): Promise<void> => {
    for (const { stored_size } of objects) addTo(report.freed, stored_size);
    report.requests += Math.ceil(objects.length / KEYS_AT_ONCE);
    await pause();
  };
  if (apply) await removeBegun(services, removed);
  await removeDue(services, caller, before, apply, async (objects) => {
    for (const { stored_size } of objects) addTo(report.due, stored_size);
    if (apply) await removed(objects);
    else report.requests += Math.ceil(objects.length / KEYS_AT_ONCE);
  });
  await condemnUnneeded(services, caller, apply, async (objects) => {
    for (const { stored_size } of objects) addTo(report.unneeded, stored_size);
    await pause();
  });
  const condemned = await registry.read.blobs.countCondemned();
  report.waiting = {
    count: Math.max(0, condemned.objects - (apply ? 0 : report.due.count)),
    bytes: Math.max(0, condemned.bytes - (apply ? 0 : report.due.bytes)),
  };

  if (apply) await dropLateKeys(services, before);
  const unfinished = await endUnfinished(services, before, apply);
  addTo(report.unfinished_uploads, 0, unfinished.aborted);
  addTo(report.unfinished_kept, 0, unfinished.kept);
  for (const { file, size } of await services.spool.listLeft(Date.now() - Math.max(grace, SPOOL_GRACE_MS))) {
    addTo(report.spool, size);
    if (apply) await services.spool.remove(file);
  }
  if (reconcile) await registry.transaction(({ stores }) => stores.setReconciled(now));
}

/** Both sides, object by object. @returns which kinds of strays there are */
async function compare(
  services: Needed,
  before: number,
  act: boolean,
  report: SweepReport,
  seen: () => void,
  pause: () => Promise<void>,
): Promise<Record<Stray['kind'], boolean>> {
  const kinds = { leftover: false, unknown: false, wanted: false };
  await compareStore(services, before, {
    seen,
    young: (size) => addTo(report.young, size),
    async differing(objects) {
      const missing = objects.filter(({ state }) => state !== 'lost');
      for (const { stored_size } of missing) addTo(report.missing, stored_size);
      const ids = objects.map(({ id }) => id);
      report.requests += ids.length;
      // It may have come or gone since it was listed: what storage says of each counts.
      if (act) await lookUpObjects(services, SYSTEM, null, ids);
      await pause();
    },
    async strays(strays) {
      for (const { kind, size } of strays) {
        kinds[kind] = true;
        addTo(kind === 'leftover' ? report.leftovers : kind === 'unknown' ? report.unknown : report.unknown_kept, size);
      }
      await pause();
    },
  });
  return kinds;
}

/** Walks the store once more: what the first walk found is in nobody's memory. */
async function removeStrays(
  services: Needed,
  before: number,
  unknownToo: boolean,
  report: SweepReport,
  pause: () => Promise<void>,
): Promise<void> {
  await compareStore(services, before, {
    seen: () => {},
    young: () => {},
    differing: async () => {},
    async strays(strays) {
      const refused = strays.filter(({ kind }) => kind === 'leftover' || (unknownToo && kind === 'unknown'));
      if (refused.length === 0) return;
      await services.blobs.objects.removeMany(refused.map(({ key }) => ({ key, versionId: null })));
      for (const { size } of refused) addTo(report.freed, size);
      report.requests += 1;
      await pause();
    },
  });
}

/** What a rebuild could not bring back may be needed all the same. @throws StoreError registry_older */
async function assertReconciled({ rebuilds, stores }: ReadTables): Promise<void> {
  const rebuiltAt = (await rebuilds.get())?.ended_at ?? null;
  if (rebuiltAt === null || ((await stores.getReconciledAt()) ?? 0) > rebuiltAt) return;
  throw new StoreError(
    'registry_older',
    `The registry was filled from its store at ${new Date(rebuiltAt).toISOString()}, and nobody has compared both since: nothing was removed. Look at what \`sweep\` lists, then run \`sweep --reconcile\`.`,
  );
}

function registryOlder(packages: readonly string[], hasManifests: boolean): StoreError {
  const named = `${packages.slice(0, 3).join(', ')}${packages.length > 3 ? ', …' : ''}`;
  const what = hasManifests
    ? `The store has packages that the registry does not know (${named})`
    : `The store has decisions on packages (holds, extensions, deletions) that the registry does not know (${named})`;
  const next = hasManifests
    ? 'Restore a newer backup of the registry, or fill an empty one from the store with `artifact-store rebuild --from-storage`.'
    : 'Restore a newer backup of the registry, or make those decisions again and then run `sweep --reconcile`.';
  return new StoreError(
    'registry_older',
    `${what}: the registry is older than the store, and nothing was removed. ${next}`,
    { packages: [...packages] },
  );
}

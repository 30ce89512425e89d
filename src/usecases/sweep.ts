import { isStoreError, StoreError } from '../core/errors.ts';
import { newId } from '../core/ids.ts';
import { addTo, emptyReport, type SweepReport } from '../core/sweep-report.ts';
import type { SweepRecord } from '../registry/sweeps.ts';
import type { SweptObject } from '../registry/unneeded-objects.ts';
import { compareStore, type Stray } from './compare-store.ts';
import { condemnUnneeded } from './condemn-objects.ts';
import { dropLateKeys, endUnfinished } from './free-leftovers.ts';
import { assertMarked } from './identify-store.ts';
import { unknownPackages } from './inspect-packages.ts';
import { askStorage, markDiffering } from './look-up-objects.ts';
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
/** Objects that storage is asked for before what it said is written down. */
const ASKED_AT_ONCE = 500;
/** What it takes to read whose store it is. */
const MARK_REQUESTS = 2;

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
    const beat = setInterval(() => {
      note(services, sweep.id, report).catch((err) =>
        services.log.warn({ err, sweep: sweep.id }, 'a sweep is not noted'),
      );
    }, NOTE_MS);
    const failure = await sweepNow(services, caller, options, report, signal).then(
      () => null,
      (thrown: unknown) => {
        services.log.warn({ err: thrown, sweep: sweep.id }, 'a sweep failed');
        if (isStoreError(thrown)) return { code: thrown.code, message: thrown.message };
        if (signal.aborted) return { code: 'unavailable', message: 'The service was stopped.' };
        return { code: 'internal', message: 'The service failed; its log says why.' };
      },
    );
    clearInterval(beat);
    services.meters.freed(report.freed.count, report.freed.bytes);
    await registry.transaction(async (tables) => tables.sweeps.end(sweep.id, report, failure, await tables.now()));
    services.log.info({ sweep: sweep.id, ...options, ...report }, 'a sweep ended');
  });
  return (await registry.read.sweeps.get(sweep.id, now)) as SweepRecord;
}

/** However long a step takes: who is not heard of counts as interrupted. */
async function note({ registry }: Services, id: string, report: SweepReport): Promise<void> {
  await registry.transaction(async ({ sweeps, now }) => sweeps.note(id, report, await now()));
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
 * long enough ago. Any number may run at once, on any replica; each may die anywhere.
 * @throws StoreError registry_older, foreign_store
 */
async function sweepNow(
  services: Needed,
  caller: Caller,
  { apply, reconcile }: SweepOptions,
  report: SweepReport,
  signal: AbortSignal,
): Promise<void> {
  const { registry, sweepGraceMs: grace } = services;
  const now = await registry.read.now();
  const before = now - grace;
  const goOn = (): void => signal.throwIfAborted();
  await assertMarked(services, services.storeId());
  report.requests += MARK_REQUESTS;
  let keys = 0;
  const seen = (): void => {
    goOn();
    keys += 1;
    if (keys % KEYS_AT_ONCE === 1) report.requests += 1;
  };

  const since = reconcile ? null : await registry.read.stores.getReconciledAt();
  const { manifests, decisions } = await unknownPackages(services, since, seen);
  report.unknown_packages = [...new Set([...manifests, ...decisions])].toSorted().slice(0, NAMED);
  if (apply && (manifests.size > 0 || (decisions.size > 0 && !reconcile)))
    throw registryOlder(report.unknown_packages, manifests.size > 0);

  const strays = await compare(services, before, apply || reconcile, report, seen);
  // What the registry does not know may be all that is left of what it has lost, and of packages that it never heard of.
  const mayRemoveUnknown = manifests.size === 0 && !(await registry.read.blobs.anyLostIsNeeded());
  if (!mayRemoveUnknown) {
    addTo(report.unknown_kept, report.unknown.bytes, report.unknown.count);
    report.unknown = { count: 0, bytes: 0 };
  }
  if (apply && (strays.leftover || (strays.unknown && mayRemoveUnknown))) {
    await removeStrays(services, before, mayRemoveUnknown, report, goOn);
  }

  const removed = async (objects: readonly SweptObject[]): Promise<void> => {
    for (const { stored_size } of objects) addTo(report.freed, stored_size);
    goOn();
  };
  if (apply) {
    await removeBegun(services, async (objects) => {
      report.requests += Math.ceil(objects.length / KEYS_AT_ONCE);
      await removed(objects);
    });
  }
  /** Condemned, and only listed. */
  const listed = { count: 0, bytes: 0 };
  const due = (objects: readonly SweptObject[]): void => {
    report.requests += Math.ceil(objects.length / KEYS_AT_ONCE);
    for (const { stored_size, state } of objects) {
      addTo(report.due, stored_size);
      if (!apply && state === 'condemned') addTo(listed, stored_size);
    }
  };
  await removeDue(services, caller, before, apply, due, removed);
  await condemnUnneeded(services, caller, apply, async (objects) => {
    for (const { stored_size } of objects) addTo(report.unneeded, stored_size);
    goOn();
  });
  const condemned = await registry.read.blobs.countCondemned();
  report.waiting = {
    count: Math.max(0, condemned.objects - listed.count),
    bytes: Math.max(0, condemned.bytes - listed.bytes),
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
): Promise<Record<Stray['kind'], boolean>> {
  const kinds = { leftover: false, unknown: false, wanted: false };
  await compareStore(services, before, {
    seen,
    young: (size) => addTo(report.young, size),
    async differing(objects) {
      // They may have come or gone since they were listed: what storage says of each counts.
      for (let start = 0; start < objects.length; start += ASKED_AT_ONCE) {
        const ids = objects.slice(start, start + ASKED_AT_ONCE).map(({ id }) => id);
        report.requests += ids.length;
        const differing = await askStorage(services, ids);
        for (const { stored_size } of differing.gone) addTo(report.missing, stored_size);
        if (act) await markDiffering(services, SYSTEM, null, differing);
      }
    },
    async strays(strays) {
      for (const { kind, size } of strays) {
        kinds[kind] = true;
        addTo(kind === 'leftover' ? report.leftovers : kind === 'unknown' ? report.unknown : report.unknown_kept, size);
      }
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
  goOn: () => void,
): Promise<void> {
  await compareStore(services, before, {
    seen: goOn,
    young: () => {},
    differing: async () => {},
    async strays(strays) {
      const refused = strays.filter(({ kind }) => kind === 'leftover' || (unknownToo && kind === 'unknown'));
      if (refused.length === 0) return;
      await services.blobs.objects.removeMany(refused.map(({ key }) => ({ key, versionId: null })));
      for (const { size } of refused) addTo(report.freed, size);
      report.requests += 1;
    },
  });
}

function registryOlder(packages: readonly string[], hasManifests: boolean): StoreError {
  const named = `${packages.slice(0, 3).join(', ')}${packages.length > 3 ? ', …' : ''}`;
  const what = hasManifests
    ? `The store has packages that the registry does not know (${named})`
    : `The store has decisions on packages (holds, extensions, deletions) that the registry does not know (${named})`;
  const next = hasManifests
    ? 'Restore a newer backup of the registry.'
    : 'Restore a newer backup of the registry, or make those decisions again and then run `sweep --reconcile`.';
  return new StoreError(
    'registry_older',
    `${what}: the registry is older than the store, and nothing was removed. ${next}`,
    { packages: [...packages] },
  );
}

import { StoreError } from '../core/errors.ts';
import { type Amount, addTo, type SweepReport } from '../core/sweep-report.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import type { SweptObject } from '../registry/unneeded-objects.ts';
import { condemnUnneeded } from './condemn-objects.ts';
import { dropLateKeys, endUnfinished } from './free-leftovers.ts';
import { assertMarked } from './identify-store.ts';
import { unknownPackages } from './inspect-packages.ts';
import { lockBehind } from './lock-behind.ts';
import { notReconciled } from './registry-age.ts';
import { removeBegun, removeDue } from './remove-objects.ts';
import { rewritePacks } from './rewrite-packs.ts';
import type { Caller } from './services.ts';
import type { SweepOptions, SweepRun } from './sweep-order.ts';
import { endStrays } from './sweep-strays.ts';

/** Keys in one answer of a list, and in one request that removes (S3). */
const KEYS_AT_ONCE = 1_000;
/** What it takes to read whose store it is. */
const MARK_REQUESTS = 2;
/** Of what `unknown_packages` names. */
const NAMED = 100;
/** Opened, sent, listed, completed, and read once. */
const REWRITE_REQUESTS = 5;
/** A body that was received may wait long until storage has taken it. */
const SPOOL_GRACE_MS = 86_400_000;

/**
 * One sweep. First it finds out whether it may act, and what there is on both sides. What was condemned goes before more is condemned.
 * Any number may run at once, on any replica; each may die anywhere. @throws StoreError registry_older, foreign_store
 */
export async function runSweep(
  services: SweepRun['services'],
  caller: Caller,
  options: SweepOptions,
  report: SweepReport,
  signal: AbortSignal,
): Promise<void> {
  // What the log takes over from storage is part of what is reconciled (registry-age.ts). The log's own troubles are not a sweep's.
  if (options.reconcile) {
    await services.auditLog.keepUp(signal).catch((err: unknown) => {
      services.log.warn({ err }, 'the audit log could not be brought up to date before the sweep');
    });
    signal.throwIfAborted();
  }
  const now = await services.registry.read.now();
  const before = now - services.sweepGraceMs;
  const run: SweepRun = { services, caller, options, report, now, before, goOn: () => signal.throwIfAborted() };
  await assertMarked(services, services.storeId());
  report.requests += MARK_REQUESTS;
  const seen = countKeys(run);
  const knowsAll = await assertNewest(run, seen);
  await endStrays(run, seen, knowsAll);
  await liftHolds(run);
  await rewriteSparse(run);
  const listed = await removeCondemned(run);
  await condemn(run);
  await countKept(run, listed);
  await freeLeftovers(run, knowsAll);
  if (options.reconcile) await services.registry.transaction(({ stores }) => stores.setReconciled(now));
}

/** Told of each key that storage lists. */
function countKeys({ report, goOn }: SweepRun): () => void {
  let keys = 0;
  return () => {
    goOn();
    keys += 1;
    if (keys % KEYS_AT_ONCE === 1) report.requests += 1;
  };
}

/** @returns whether the registry knows every package of the store @throws StoreError registry_older */
async function assertNewest({ services, options, report }: SweepRun, seen: () => void): Promise<boolean> {
  const { apply, reconcile } = options;
  const reconciledAt = reconcile ? null : await services.registry.read.stores.getReconciledAt();
  const { manifests, decisions } = await unknownPackages(services, reconciledAt, seen);
  report.unknown_packages = [...new Set([...manifests, ...decisions])].toSorted().slice(0, NAMED);
  if ((apply || reconcile) && (manifests.size > 0 || (decisions.size > 0 && !reconcile))) {
    throw registryOlder(report.unknown_packages, manifests.size > 0);
  }
  if (apply && !reconcile) await assertReconciled(services.registry.read);
  return manifests.size === 0;
}

/** What a rebuild could not bring back may be needed all the same. @throws StoreError registry_older */
async function assertReconciled(tables: ReadTables): Promise<void> {
  const open = await notReconciled(tables);
  if (open?.why !== 'rebuilt') return;
  throw new StoreError(
    'registry_older',
    `The registry was filled from its store at ${new Date(open.at).toISOString()}, and nobody has compared both since: nothing was removed. Look at what \`sweep\` lists, then run \`sweep --reconcile\`.`,
  );
}

/** Holds that nobody wants any more would keep what is to be removed. */
async function liftHolds({ services, options, goOn }: SweepRun): Promise<void> {
  if (!options.apply) return;
  await lockBehind(services).catch((err: unknown) => {
    services.log.warn({ err }, 'storage could not be told of all locks: what is held too long stays');
  });
  goOn();
}

async function rewriteSparse({ services, options, report, goOn }: SweepRun): Promise<void> {
  await rewritePacks(services, options.rewrite, options.apply, {
    async found(packs) {
      for (const { stored_size } of packs) addTo(report.sparse, stored_size);
      goOn();
    },
    async written(storedSize) {
      addTo(report.rewritten, storedSize);
      report.requests += REWRITE_REQUESTS;
      goOn();
    },
  });
}

/** @returns what is condemned and only listed */
async function removeCondemned({ services, caller, options, report, now, before, goOn }: SweepRun): Promise<Amount> {
  const { apply } = options;
  const removed = async (objects: readonly SweptObject[]): Promise<void> => {
    for (const { stored_size } of objects) addTo(report.freed, stored_size);
    goOn();
  };
  const kept = (objects: readonly SweptObject[]): void => {
    for (const { stored_size } of objects) addTo(report.locked, stored_size);
  };
  // Those are not tried.
  const refused = await services.registry.read.locks.countKept('removing', now);
  addTo(report.locked, refused.bytes, refused.objects);
  if (apply) {
    await removeBegun(services, {
      kept,
      async removed(objects) {
        report.requests += Math.ceil(objects.length / KEYS_AT_ONCE);
        await removed(objects);
      },
    });
  }
  const listed = { count: 0, bytes: 0 };
  const due = (objects: readonly SweptObject[]): void => {
    report.requests += Math.ceil(objects.length / KEYS_AT_ONCE);
    for (const { stored_size, state } of objects) {
      addTo(report.due, stored_size);
      if (!apply && state === 'condemned') addTo(listed, stored_size);
    }
  };
  // What has another place may still be read here by URLs that were signed before.
  const elsewhere = Math.min(before, now - services.limits.url_lifetime * 1_000);
  await removeDue(services, caller, { unneeded: before, elsewhere, now }, apply, due, { removed, kept });
  return listed;
}

async function countKept({ services, report, now }: SweepRun, listed: Amount): Promise<void> {
  const { blobs, locks } = services.registry.read;
  const condemned = await blobs.countCondemned();
  const locked = await locks.countKept('condemned', now);
  addTo(report.locked, locked.bytes, locked.objects);
  report.waiting = {
    count: Math.max(0, condemned.objects - listed.count - locked.objects),
    bytes: Math.max(0, condemned.bytes - listed.bytes - locked.bytes),
  };
}

async function condemn({ services, caller, options, report, goOn }: SweepRun): Promise<void> {
  await condemnUnneeded(services, caller, options.apply, async (objects) => {
    for (const { stored_size } of objects) addTo(report.unneeded, stored_size);
    goOn();
  });
}

async function freeLeftovers({ services, options, report, before }: SweepRun, knowsAll: boolean): Promise<void> {
  const { apply } = options;
  if (apply && knowsAll) await dropLateKeys(services, before);
  const unfinished = await endUnfinished(services, before, apply);
  addTo(report.unfinished_uploads, 0, unfinished.aborted);
  addTo(report.unfinished_kept, 0, unfinished.kept);
  const grace = Math.max(services.sweepGraceMs, SPOOL_GRACE_MS);
  for (const { file, size } of await services.spool.listLeft(Date.now() - grace)) {
    addTo(report.spool, size);
    if (apply) await services.spool.remove(file);
  }
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

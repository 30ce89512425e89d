import { type Amount, addTo } from '../core/sweep-report.ts';
import { compareStore, type Stray } from './compare-store.ts';
import { askStorage, markDiffering } from './look-up-objects.ts';
import { SYSTEM } from './services.ts';
import type { SweepRun } from './sweep-order.ts';

/** Objects that storage is asked for before what it said is written down. */
const ASKED_AT_ONCE = 500;

/**
 * Compares both sides, object by object: what the registry has and storage has not is lost, and what the registry does not know is
 * removed. That may be all that is left of what it has lost, and of packages that it never heard of: then it stays.
 * @param seen told of each key @param knowsAll the registry knows every package of the store
 */
export async function endStrays(run: SweepRun, seen: () => void, knowsAll: boolean): Promise<void> {
  const { services, options, report } = run;
  const found = await compare(run, seen);
  const kinds = await removable(services, knowsAll);
  for (const [kind, { count, bytes }] of found) addTo(report[amountOf(kind, kinds)], bytes, count);
  if (options.apply && kinds.some((kind) => found.has(kind))) await removeStrays(run, knowsAll);
}

type Kind = Stray['kind'];

/** What may go now. @param knowsAll the registry knows every package of the store */
async function removable({ registry }: SweepRun['services'], knowsAll: boolean): Promise<Kind[]> {
  if (!knowsAll) return ['leftover'];
  if (await registry.read.blobs.anyLostIsNeeded()) return ['leftover', 'abandoned'];
  return ['leftover', 'abandoned', 'abandoned_pack', 'unknown'];
}

function amountOf(kind: Kind, removed: readonly Kind[]): 'leftovers' | 'unknown' | 'unknown_kept' {
  if (kind === 'leftover') return 'leftovers';
  return removed.includes(kind) ? 'unknown' : 'unknown_kept';
}

/** @returns how many strays there are of each kind */
async function compare({ services, options, report, before }: SweepRun, seen: () => void): Promise<Map<Kind, Amount>> {
  const found = new Map<Kind, Amount>();
  const act = options.apply || options.reconcile;
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
        const amount = found.get(kind) ?? { count: 0, bytes: 0 };
        addTo(amount, size);
        found.set(kind, amount);
      }
    },
  });
  return found;
}

/** Walks the store once more: what the first walk found is in nobody's memory. */
async function removeStrays({ services, report, before, goOn }: SweepRun, knowsAll: boolean): Promise<void> {
  await compareStore(services, before, {
    seen: goOn,
    young: () => {},
    differing: async () => {},
    async strays(strays) {
      // Asked again: what held the bytes may have been found damaged or gone since.
      const kinds = await removable(services, knowsAll);
      const removed = strays.filter(({ kind }) => kinds.includes(kind));
      if (removed.length === 0) return;
      const locked = await services.blobs.objects.removeMany(removed.map(({ key }) => ({ key, versionId: null })));
      const kept = new Set(locked.map(({ key }) => key));
      for (const { key, size } of removed) addTo(kept.has(key) ? report.locked : report.freed, size);
      report.requests += 1;
    },
  });
}

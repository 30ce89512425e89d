import { setTimeout as sleep } from 'node:timers/promises';
import { ByteRate } from '../core/byte-rate.ts';
import { addVerdict, emptyFixityReport, type FixityReport } from '../core/fixity-report.ts';
import { checkReach, leaseFor, turnBefore } from '../core/fixity-turns.ts';
import type { CheckedObject } from '../registry/object-checks.ts';
import type { ObjectTotals } from '../registry/object-rows.ts';
import type { Registry } from '../registry/registry.ts';
import { checkObject } from './check-object.ts';
import type { PassBytes } from './read-again.ts';
import { type Caller, type Services, SYSTEM, type WithReader } from './services.ts';

/** Taken at once: for so long as they take to read, nobody else reads them. */
const BATCH = 16;
/** After storage could not be read, ms. */
const RETRY_MS = 600_000;
/** Of the rate, while requests are under way. */
const SHARE_WHEN_BUSY = 0.1;
/** Waits shorter than this are put together. */
const WAIT_MIN_MS = 5;

/**
 * Reads the objects whose turn it is, the oldest first, until there are none. Any number of services share them: each takes a few by one
 * statement, for a time. Ends early when storage cannot be read: their turn comes again.
 */
export async function checkDue(services: Services<WithReader>, signal: AbortSignal): Promise<FixityReport> {
  const { registry } = services;
  const { period, rate } = services.fixity;
  const report = emptyFixityReport();
  const pass = paced(services, rate, signal);
  while (!signal.aborted) {
    const turn = turnBefore(period, await registry.read.now());
    const next = await registry.read.checks.nextTurn();
    // Asked for before: a look that finds nothing writes nothing.
    if (next === null || next > turn) break;
    const batch = await registry.transaction(async ({ checks, now }) => {
      const until = turnBefore(period, await now());
      const taken = await checks.claim(until, BATCH, until + leaseFor(0, rate));
      const bytes = taken.reduce((sum, { stored_size }) => sum + stored_size, 0);
      await checks.postpone(numbersOf(taken), until + leaseFor(bytes, rate * SHARE_WHEN_BUSY));
      return taken;
    });
    const unread = await checkAll(services, SYSTEM, batch, pass, report, signal);
    if (unread.length === 0) continue;
    await registry.transaction(async ({ checks, now }) => {
      await checks.postpone(numbersOf(unread), turnBefore(period, await now()) + (signal.aborted ? 0 : RETRY_MS));
    });
    if (unread.length === batch.length) break;
  }
  return report;
}

/** @returns those that could not be read */
export async function checkAll(
  services: Services<WithReader>,
  caller: Caller,
  objects: readonly CheckedObject[],
  pass: PassBytes,
  report: FixityReport,
  signal: AbortSignal,
): Promise<CheckedObject[]> {
  const unread: CheckedObject[] = [];
  for (const object of objects) {
    try {
      signal.throwIfAborted();
      const { result, newly } = await checkObject(services, caller, object, pass);
      addVerdict(report, result, newly, object.stored_size);
      services.meters.checked(result, object.stored_size);
    } catch (error) {
      unread.push(object);
      if (signal.aborted) continue;
      addVerdict(report, 'unread', false, 0);
      services.meters.checked('unread', 0);
      services.log.warn({ err: error, object_id: object.id }, 'an object could not be read for its fixity check');
    }
  }
  return unread;
}

/** Keeps to the rate, and to a part of it while requests are under way. */
export function paced({ busy }: Services, rate: number | null, signal: AbortSignal): PassBytes {
  const limit = rate === null ? null : new ByteRate(rate);
  return async (count) => {
    signal.throwIfAborted();
    if (limit === null) return;
    const wait = limit.take(count, performance.now(), busy() ? SHARE_WHEN_BUSY : 1);
    if (wait >= WAIT_MIN_MS) await sleep(wait, undefined, { signal, ref: false });
  };
}

function numbersOf(objects: readonly CheckedObject[]): number[] {
  return objects.map(({ no }) => no);
}

/** How much of what there is was read within the period, and what was not. */
export interface FixityCoverage {
  /** Within the period. */
  seen: { objects: number; bytes: number };
  overdue: { objects: number; bytes: number };
  /** When that of the objects was read which was read the longest time ago, ms; null: there is none. */
  oldest_seen_at: number | null;
}

/** @param totals of all objects @param period ms; null: nothing is overdue */
export async function fixityCoverage(
  { read }: Pick<Registry, 'read'>,
  { objects, stored_size }: Pick<ObjectTotals, 'objects' | 'stored_size'>,
  period: number | null,
): Promise<FixityCoverage> {
  const { checks } = read;
  const now = await read.now();
  const none = { objects: 0, bytes: 0 };
  const overdue = period === null ? none : await checks.overdue(now - period, checkReach(period, now));
  return {
    seen: { objects: objects - overdue.objects, bytes: stored_size - overdue.bytes },
    overdue,
    oldest_seen_at: await checks.oldestSeen(),
  };
}

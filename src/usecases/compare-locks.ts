import { type ObjectKey, ownerOf } from '../blobs/key-layout.ts';
import { isWeaker, type ObjectLock } from '../core/object-lock.ts';
import type { SampledLock } from '../registry/object-locks.ts';
import { mapLimit } from './map-limit.ts';
import type { Services, WithLocks } from './services.ts';

/** Objects that are looked at. */
const SAMPLE = 200;
const CONCURRENCY = 16;
/** More than so many are not counted. */
const COUNTED = 1_000;

/** What storage says of locks, beside what the registry says that it was told. */
export interface LockComparison {
  looked: number;
  /** Keys of objects that storage locks less than it was told, or does not have. */
  weaker: string[];
  /** They are locked in another mode than the one that is configured now. */
  otherMode: number;
  /** Packages and objects that storage has not been told of; at most 1,000 of each are counted. */
  behind: number;
}

/**
 * Looks at some of the locked objects, by chance. What storage locks less than it was told it is told again soon: the registry then says
 * what storage said. @returns null: nothing is locked here @throws StoreError unavailable
 */
export async function compareLocks({ registry, blobs }: Services<WithLocks>): Promise<LockComparison | null> {
  const { locks } = blobs;
  if (locks === null) return null;
  const now = await registry.read.now();
  const seen = await mapLimit(await sample(registry.read.locks, now), CONCURRENCY, async (told) => {
    const lock = await locks.read({ key: told.key as ObjectKey, versionId: told.version_id });
    return { told, lock, weaker: isWeaker(lock, { until: told.locked_until, held: told.legal_hold }, now) };
  });
  const weaker = seen.filter((each) => each.weaker);
  await forget(registry, weaker);
  return {
    looked: seen.length,
    weaker: weaker.map(({ told }) => told.key),
    otherMode: seen.filter(({ lock }) => lock?.mode != null && lock.mode !== locks.mode).length,
    behind: await registry.read.locks.countBehind(COUNTED),
  };
}

type Locks = Services['registry']['read']['locks'];

/** From a number on, and then from the first one. */
async function sample(locks: Locks, now: number): Promise<SampledLock[]> {
  const from = 1 + Math.floor(Math.random() * (await locks.lastNumber()));
  const found = await locks.sample(from, SAMPLE, now);
  if (found.length === SAMPLE) return found;
  const before = await locks.sample(0, SAMPLE - found.length, now);
  return [...found, ...before.filter(({ no }) => no < from)];
}

async function forget(
  registry: Services['registry'],
  weaker: ReadonlyArray<{ told: SampledLock; lock: ObjectLock | null }>,
): Promise<void> {
  const there = weaker.flatMap(({ told, lock }) => (lock === null ? [] : [{ told, lock }]));
  if (there.length === 0) return;
  const packages = there.flatMap(({ told }) => {
    const owner = ownerOf(told.key as ObjectKey);
    return owner?.kind === 'manifest' || owner?.kind === 'attestation' ? [owner.packageId] : [];
  });
  await registry.transaction(async ({ locks }) => {
    await locks.forget(there.map(({ told, lock }) => ({ no: told.no, until: lock.until, held: lock.held })));
    await locks.want(packages);
  });
}

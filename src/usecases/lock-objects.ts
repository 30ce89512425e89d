import type { ObjectLocks, ObjectRef } from '../blobs/blob-store.ts';
import { attestationKey, decisionKey, manifestKey, type ObjectKey } from '../blobs/key-layout.ts';
import { isStoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import { wantedLock } from '../core/object-lock.ts';
import type { LockBehind, LockingPackage } from '../registry/locks-behind.ts';
import type { LockTable, ToldLock } from '../registry/object-locks.ts';
import { mapLimit } from './map-limit.ts';
import type { Services, WithDecisions } from './services.ts';
import { versionOf } from './version-of.ts';

/** Asked for in one statement, and told to storage before what was told is recorded. */
const PAGE = 500;
const CONCURRENCY = 16;
/** A package may come to want something else meanwhile: then recovery goes on. */
const PASSES = 3;

/*
 * Storage is told of locks between two transactions, and the registry notes afterwards what it was told: whoever dies in between tells
 * the same again, which changes nothing. That an object may be held it notes before: who releases the hold must know. Retention is only ever raised, so any number may raise one object at once, in any order. A hold
 * may be lifted at the moment at which another package wants it: the registry says before that it is being lifted, nobody believes in it
 * as long as it does, and whoever lifts it compares again afterwards (registry/object-locks.ts). Whether the package itself wants it, is
 * asked under the package's lock, by who lifts and by who records a hold. So what the registry says storage was
 * told is never more than storage was told.
 */

/**
 * Locks the objects that a package needs, its manifest and its decisions as it wants them to be; lifts holds that nobody wants any more.
 * Nothing where storage locks nothing, or has been told already. @throws StoreError unavailable: recovery goes on
 */
export async function lockInStorage(services: Services<WithDecisions>, id: PackageId): Promise<void> {
  const { registry, blobs } = services;
  const { locks } = blobs;
  if (locks === null) return;
  const { read } = registry;
  for (let pass = 0; pass < PASSES; pass += 1) {
    const pkg = await read.locks.getPackage(id);
    if (pkg === null) return;
    const wanted = wantedLock(pkg, await read.now());
    const settled = [
      await tellAll(
        services,
        locks,
        'objects',
        (after) => read.locks.listOfPackage(id, [manifestKey(id), attestationKey(id)], wanted, after, PAGE),
        pkg,
      ),
      await tellAll(
        services,
        locks,
        'retention_events',
        async (after) => {
          const decisions = await read.locks.listDecisions(id, wanted, after, PAGE);
          return decisions.map((decision) => ({ ...decision, key: decisionKey(id, decision.id) }));
        },
        pkg,
      ),
    ];
    if (settled.includes(false) || (await registry.transaction((tables) => tables.locks.setTold(pkg)))) return;
  }
}

/** The same of objects of blobs that were marked: what was written in the place of others, and what storage locks less than it was told. */
export async function lockMarked(services: Services<WithDecisions>): Promise<void> {
  const { registry, blobs } = services;
  const { locks } = blobs;
  if (locks === null) return;
  await tellAll(services, locks, 'objects', async (after) =>
    registry.read.locks.listMarked(after, PAGE, await registry.read.now()),
  );
}

/** @returns false: of some of them nobody knows yet whether they are held, or they are still to be lifted */
async function tellAll(
  services: Services<WithDecisions>,
  locks: ObjectLocks,
  table: LockTable,
  list: (after: number) => Promise<LockBehind[]>,
  pkg: LockingPackage | null = null,
): Promise<boolean> {
  let settled = true;
  for (let after = 0; ; ) {
    const page = await list(after);
    const last = page.at(-1);
    if (last === undefined) return settled;
    settled = (await tell(services, locks, table, page, pkg)) && settled;
    if (page.length < PAGE) return settled;
    after = last.no;
  }
}

async function tell(
  services: Services<WithDecisions>,
  locks: ObjectLocks,
  table: LockTable,
  page: readonly LockBehind[],
  pkg: LockingPackage | null,
): Promise<boolean> {
  const isSettled = await raise(
    services,
    locks,
    table,
    page.filter(({ until, hold }) => until !== null || hold === true),
    pkg,
  );
  const isLifted = await lift(
    services,
    locks,
    table,
    page.filter(({ hold }) => hold === false),
    pkg,
  );
  if (table === 'objects') {
    const nos = page.map(({ no }) => no);
    await services.registry.transaction(async (tables) => tables.locks.unmark(nos, await tables.now()));
  }
  return isSettled && isLifted;
}

/** What storage took before it failed is recorded. @throws StoreError unavailable */
async function raise(
  { registry, blobs, log }: Services<WithDecisions>,
  locks: ObjectLocks,
  table: LockTable,
  behind: readonly LockBehind[],
  pkg: LockingPackage | null,
): Promise<boolean> {
  const told: ToldLock[] = [];
  const toHold = behind.filter(({ hold }) => hold === true).map(({ no }) => no);
  if (toHold.length > 0) await registry.transaction((tables) => tables.locks.doubt(table, toHold));
  const work = mapLimit(behind, CONCURRENCY, async ({ no, id, key, version_id, until, hold }) => {
    try {
      const ref = await versioned(blobs, { key: key as ObjectKey, versionId: version_id });
      if (until !== null) await locks.retain(ref, until);
      if (hold === true) await locks.hold(ref, true);
      told.push({ no, version_id: ref.versionId, until, held: hold === true });
    } catch (error) {
      if (!isStoreError(error, 'object_not_found')) throw error;
      // That it is gone others find out, and say: what is left of the package is locked.
      log.error({ err: error, object: id }, 'an object that is to be locked is not in storage');
    }
  });
  const [failed] = await Promise.allSettled([work]);
  const isLifted =
    told.length > 0 &&
    (await registry.transaction(async (tables) => {
      // Whoever has released the hold meanwhile saw nothing to lift: it is looked at again.
      if (pkg !== null && told.some(({ held }) => held)) {
        await tables.packages.lock(pkg.id);
        await tables.locks.wantAgain(pkg);
      }
      return tables.locks.record(table, told, await tables.now());
    }));
  if (failed.status === 'rejected') throw failed.reason;
  return !isLifted;
}

/** Of what was recorded without its version: whatever comes under the key later is not what is locked. */
async function versioned({ objects }: WithDecisions, ref: ObjectRef): Promise<ObjectRef> {
  return { key: ref.key, versionId: await versionOf(objects, ref) };
}

/** @returns false: another one is lifting some of them, or died over it */
async function lift(
  services: Services<WithDecisions>,
  locks: ObjectLocks,
  table: LockTable,
  held: readonly LockBehind[],
  pkg: LockingPackage | null,
): Promise<boolean> {
  if (held.length === 0) return true;
  const { registry, blobs } = services;
  const { nos: begun, since } = await registry.transaction(async (tables) => {
    // Whoever places a hold has this lock: it was before, and is seen, or comes later, and sees what is being lifted.
    const now = pkg === null ? null : await tables.packages.lock(pkg.id);
    const since = await tables.now();
    if (now !== null && wantedLock(now, since).held) return { nos: [], since };
    const nos = await tables.locks.beginLifting(
      table,
      held.map(({ no }) => no),
      since,
    );
    return { nos, since };
  });
  const nos = new Set(begun);
  const mine = held.filter(({ no }) => nos.has(no));
  await mapLimit(mine, CONCURRENCY, async ({ key, version_id }) => {
    try {
      await locks.hold(await versioned(blobs, { key: key as ObjectKey, versionId: version_id }), false);
    } catch (error) {
      if (!isStoreError(error, 'object_not_found')) throw error;
    }
  });
  await registry.transaction((tables) => tables.locks.endLifting(table, [...nos], since));
  // What somebody wanted to be held meanwhile is marked.
  if (table === 'objects' && mine.length > 0) await lockMarked(services);
  return mine.length === held.length;
}

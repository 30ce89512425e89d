import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { ObjectLocks } from '../../src/blobs/blob-store.ts';
import { StoreError } from '../../src/core/errors.ts';
import type { PackageId } from '../../src/core/ids.ts';
import { SCOPES } from '../../src/core/scopes.ts';
import type { Registry } from '../../src/registry/registry.ts';
import { deletePackage } from '../../src/usecases/delete-package.ts';
import { lockBehind } from '../../src/usecases/lock-behind.ts';
import { placeHold } from '../../src/usecases/place-hold.ts';
import { releaseHold } from '../../src/usecases/release-hold.ts';
import type { Caller } from '../../src/usecases/services.ts';
import { apiOf } from '../support/api.ts';
import { onPostgres, STALLS } from '../support/postgres-service.ts';
import type { TestService } from '../support/service.ts';

const CALLER: Caller = { actor: 'op', reads: { all: true }, scopes: SCOPES };
const CENTURY_DAYS = 40_000;
/** Several times what a hold takes. */
const PATIENCE_MS = 500;

/** What storage holds, by key; and locks that do this before they tell it. */
function storage() {
  const held = new Map<string, boolean>();
  const locks = (before: (on: boolean, key: string) => Promise<void> = async () => {}): ObjectLocks => ({
    mode: 'governance',
    async retain() {},
    async hold({ key }, on) {
      await before(on, key);
      held.set(key, on);
    },
    read: async ({ key }) => ({ until: null, mode: 'governance', held: held.get(key) ?? false }),
  });
  const keys = (on: boolean): string[] => [...held].filter(([, is]) => is === on).map(([key]) => key);
  return { held, locks, keys };
}

/**
 * Two replicas tell storage of holds, and one of them stalls between any two steps. Bucket and gateway are not asked: a bucket cannot be
 * made to wait at these places.
 */
await onPostgres(
  'stalled locks',
  (start) => {
    async function place(t: ExecutionContext) {
      const service: TestService = await start();
      t.teardown(() => service.dispose());
      const { registry, blobs } = service.services;
      const replica = (locks: ObjectLocks, over: Partial<Registry> = {}) => ({
        ...service.services,
        registry: { ...registry, read: registry.read, ...over },
        blobs: { objects: blobs.objects, uploads: blobs.uploads, locks },
      });
      const id = (await apiOf(service.url).preserve({ a: `bytes of ${t.title}` })) as PackageId;
      const store = storage();
      const fast = replica(store.locks());
      const release = async () => {
        const [hold] = await registry.read.retention.holds(id);
        await releaseHold(fast, CALLER, id, hold?.id ?? '', 'a mistake');
      };
      const settle = async () => {
        for (let times = 0; times < 2; times += 1) await lockBehind(fast);
        t.is(await registry.read.locks.countBehind(10), 0, 'nothing is left to be told');
      };
      return { service, registry, id, store, replica, fast, release, settle };
    }

    test('another hold is placed while who lifts the first one has only looked', async (t) => {
      const { registry, id, store, replica, fast, settle } = await place(t);
      const one = await placeHold(fast, CALLER, id, 'one', null);
      let stalled = false;
      const listOfPackage: typeof registry.read.locks.listOfPackage = async (...args) => {
        const list = await registry.read.locks.listOfPackage(...args);
        if (!stalled && list.some(({ hold }) => hold === false)) {
          stalled = true;
          await placeHold(fast, CALLER, id, 'two', null);
        }
        return list;
      };
      const read = { ...registry.read, locks: { ...registry.read.locks, listOfPackage } };
      await releaseHold(replica(store.locks(), { read }), CALLER, id, one.id, 'over');
      t.true(stalled);
      await settle();
      t.true(store.held.size > 2);
      t.deepEqual(store.keys(false), [], 'all of a held package is held');
    });

    test('another hold is placed before the lifting of the first one is committed, and its answer is lost', async (t) => {
      const { service, registry, id, store, replica, fast, settle } = await place(t);
      const one = await placeHold(fast, CALLER, id, 'one', null);
      let placing: Promise<unknown> | null = null;
      const transaction: Registry['transaction'] = (work) =>
        registry.transaction((tables) => {
          const beginLifting: typeof tables.locks.beginLifting = async (...args) => {
            const begun = await tables.locks.beginLifting(...args);
            placing ??= placeHold(fast, CALLER, id, 'two', null);
            // It is there by then, or waits for this transaction.
            await Promise.race([placing, sleep(PATIENCE_MS)]);
            return begun;
          };
          return work({ ...tables, locks: { ...tables.locks, beginLifting } });
        });
      const deaf = store.locks(async (on, key) => {
        if (on) return;
        store.held.set(key, on);
        throw new StoreError('unavailable', 'no answer');
      });
      await t.throwsAsync(releaseHold(replica(deaf, { transaction }), CALLER, id, one.id, 'over'), {
        message: /could not be told yet/,
      });
      t.truthy(placing);
      await placing;
      service.sleepDays(1);
      await settle();
      t.true(store.held.size > 2);
      t.deepEqual(store.keys(false), [], 'all of a held package is held');
    });

    test('storage has taken a hold, and its answer is lost: whoever releases it lifts it', async (t) => {
      const { service, id, store, replica, fast, release, settle } = await place(t);
      const deaf = store.locks(async (on, key) => {
        store.held.set(key, on);
        throw new StoreError('unavailable', 'no answer');
      });
      await t.throwsAsync(placeHold(replica(deaf), CALLER, id, 'one', null), { message: /could not be told yet/ });
      t.true(store.keys(true).length > 0);
      await release();
      service.sleepDays(CENTURY_DAYS);
      await deletePackage(fast, CALLER, id, 'over');
      await settle();
      t.deepEqual(store.keys(true), [], 'what nobody holds can be freed');
    });

    test('storage has taken a hold, and its answer is lost: whoever goes on holds all of it', async (t) => {
      const { id, store, replica, fast, settle } = await place(t);
      const deaf = store.locks(async (on, key) => {
        if (key.startsWith('packages/')) throw new StoreError('unavailable', 'no answer');
        store.held.set(key, on);
      });
      await t.throwsAsync(placeHold(replica(deaf), CALLER, id, 'one', null), { message: /could not be told yet/ });
      await lockBehind(fast);
      await settle();
      t.true(store.held.size > 2);
      t.deepEqual(store.keys(false), []);
    });

    for (const end of ['released', 'released, and its package deleted']) {
      test(`a hold is ${end} before storage has been told of it`, async (t) => {
        const { service, id, store, replica, fast, release, settle } = await place(t);
        service.sleepDays(CENTURY_DAYS);
        let stalled = false;
        const slow = store.locks(async (on) => {
          if (!on || stalled) return;
          stalled = true;
          await release();
          if (end !== 'released') await deletePackage(fast, CALLER, id, 'over');
        });
        await placeHold(replica(slow), CALLER, id, 'one', null);
        t.true(stalled);
        await settle();
        t.true(store.held.size > 2);
        t.deepEqual(store.keys(true), [], 'what nobody holds can be freed');
      });
    }
  },
  STALLS,
);

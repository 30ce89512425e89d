import { randomBytes } from 'node:crypto';
import type { ExecutionContext, TestFn } from 'ava';
import type { Knex } from 'knex';
import { type Digest, digestOf, digestToBytes } from '../../src/core/digest.ts';
import type { PackageId } from '../../src/core/ids.ts';
import { type LogicalPath, parseLogicalPath } from '../../src/core/logical-path.ts';
import { DEFAULT_RETENTION_CLASSES } from '../../src/core/retention.ts';
import type { Registry, Tables } from '../../src/registry/registry.ts';
import type { Due } from '../../src/registry/unneeded-objects.ts';
import { untilSomebodyWaits } from '../support/lock-wait.ts';
import { addPackage } from '../support/package-row.ts';
import { generator } from '../support/random.ts';
import { packRow } from '../support/registries.ts';
import { lostAndFound } from '../support/registry-truth.ts';
import type { RegistrySuite } from './registry.ts';

const ALL = { all: true } as const;
const LATE = 1_000;

interface Blob {
  digest: Digest;
  size: number;
}

const [A, B, C] = ['a', 'b', 'c'].map((text) => ({ digest: digestOf(text), size: 1 })) as [Blob, Blob, Blob];

/** What the sweep asks of a registry, and what others do at the same moment (invariant 6). */
export function registrySweepSuite(test: TestFn, { name, open }: RegistrySuite): void {
  function check(
    title: string,
    body: (t: ExecutionContext, one: Registry, two: Registry, db: Knex) => Promise<void>,
  ): void {
    test(`${name}: ${title}`, async (t) => {
      const [one, two, db] = await open(t);
      await one.transaction((tables) => tables.retention.syncClasses(DEFAULT_RETENTION_CLASSES));
      await body(t, one, two, db);
    });
  }

  /**
   * What `second` does when it comes in the middle of a transaction of `first`, which has done its work and not ended. On PostgreSQL it
   * waits for a lock; did it not, it would end before. @returns what each came to
   */
  async function inTheMiddle<First, Second>(
    [one, two, db]: [Registry, Registry, Knex],
    first: (tables: Tables) => Promise<First>,
    second: () => Promise<Second>,
  ): Promise<[First, Second]> {
    const worked = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const firstDone = one.transaction(async (tables) => {
      const result = await first(tables);
      worked.resolve();
      await end.promise;
      return result;
    });
    await Promise.race([worked.promise, firstDone]);
    const secondDone = second();
    if (two.kind === 'postgres') await Promise.race([secondDone.catch(() => {}), untilSomebodyWaits(db)]);
    end.resolve();
    return [await firstDone, await secondDone];
  }

  for (const state of ['live', 'condemned'] as const) {
    check(`what a file is registered for in the same moment is not taken: ${state}`, async (t, one, two, db) => {
      const [giver, taker] = [await addPackage(one), await addPackage(one)];
      await register(one, giver, [A]);
      await record(one, giver, 'obj_1', [A]);
      // One more object that is live: whoever registers the file changes neither.
      await record(one, giver, 'obj_2', [A], 'again');
      if (state === 'condemned') t.deepEqual(await condemn(two, ['obj_1']), ['obj_1']);
      await inTheMiddle(
        [one, two, db],
        (tables) => registering(tables, taker, [A]),
        async () => {
          await two.transaction(({ packages }) => packages.update(giver, { status: 'failed' }));
          const ids = ['obj_1', 'obj_2'];
          await condemn(two, ids);
          await beginRemoving(two, ids);
        },
      );
      t.deepEqual(await proven(one, taker), [A.digest]);
      const at = await one.read.blobs.locate(A.digest);
      t.true(at?.state === 'live' || at?.state === 'condemned', `${at?.state}`);
      t.deepEqual((await one.read.files.missing(taker, 9)) as string[], []);
    });
  }

  check('whoever registers what is being removed in the same moment must send it', async (t, one, two, db) => {
    const [giver, taker] = [await addPackage(one), await addPackage(one)];
    await register(one, giver, [A]);
    await record(one, giver, 'obj_1', [A]);
    await one.transaction(({ packages }) => packages.update(giver, { status: 'failed' }));
    t.deepEqual(await condemn(one, ['obj_1']), ['obj_1']);
    const [removing, state] = await inTheMiddle(
      [one, two, db],
      (tables) => tables.blobs.beginRemoving(['obj_1'], dueAt(LATE), 3),
      () => two.transaction((tables) => registering(tables, taker, [A], 'retained')),
    );
    t.deepEqual(removing, ['obj_1']);
    t.is(state, 'missing');
    // It is sent while storage is told, and stays when that has ended.
    await record(two, taker, 'obj_2', [A]);
    t.deepEqual(await one.transaction(({ blobs }) => blobs.setGone(['obj_1'], 4)), ['obj_1']);
    t.deepEqual(await one.transaction(({ blobs }) => blobs.setGone(['obj_1'], 4)), [], 'once');
    t.like(await one.read.blobs.locate(A.digest), { object_id: 'obj_2', state: 'live' });
    t.deepEqual(await lostAndFound(db), []);
  });

  check('what is stored anew while the old object goes is held by the new one', async (t, one, two, db) => {
    const [giver, taker] = [await addPackage(one), await addPackage(one)];
    await register(one, giver, [A, B]);
    await record(one, giver, 'obj_1', [A, B]);
    await one.transaction(({ packages }) => packages.update(giver, { status: 'failed' }));
    await condemn(one, ['obj_1']);
    await register(one, taker, [A], 'unproven');
    // The grace is not over for one that is needed: it lives again.
    t.deepEqual(await beginRemoving(two, ['obj_1']), []);
    await one.transaction(({ packages }) => packages.update(taker, { status: 'failed' }));
    await condemn(one, ['obj_1']);
    const third = await addPackage(one);
    t.deepEqual(await beginRemoving(two, ['obj_1']), ['obj_1']);
    await register(one, third, [A, B], 'unproven');
    await inTheMiddle(
      [one, two, db],
      (tables) => recording(tables, third, 'obj_2', [B]),
      () => two.transaction(({ blobs }) => blobs.setGone(['obj_1'], 4)),
    );
    t.deepEqual(await lostAndFound(db), []);
    t.like(await one.read.blobs.locate(B.digest), { object_id: 'obj_2' });
    t.is(await one.read.blobs.locate(A.digest), null);
    t.deepEqual((await one.read.files.missing(third, 9)) as string[], [A.digest.slice(7)]);
  });

  check('of two objects with the same needed bytes one is condemned, whoever looks', async (t, one, two, db) => {
    const id = await addPackage(one);
    await register(one, id, [A, B]);
    await record(one, id, 'obj_1', [A, B]);
    await record(one, id, 'obj_2', [A, B], 'again');
    const live = () => db('objects').where({ state: 'live' }).select('id');
    t.deepEqual(await condemn(one, ['obj_1', 'obj_2']), ['obj_1'], 'in one batch');
    t.deepEqual(await live(), [{ id: 'obj_2' }]);
    t.deepEqual(await beginRemoving(one, ['obj_1']), ['obj_1']);
    await one.transaction(({ blobs }) => blobs.setGone(['obj_1'], 4));
    await record(one, id, 'obj_3', [A, B], 'again');
    const both = await inTheMiddle(
      [one, two, db],
      (tables) => tables.blobs.condemn(['obj_3'], 2),
      () => condemn(two, ['obj_2']),
    );
    t.deepEqual(both, [['obj_3'], []], 'by two sweeps');
    t.deepEqual(await live(), [{ id: 'obj_2' }]);
    t.deepEqual(await lostAndFound(db), []);
  });

  check(
    'blobs are locked in the order of their digests: two who lock the same ones never wait for each other',
    async (t, one, two, db) => {
      // SQLite has one writer. On PostgreSQL a deadlock would not be seen: the one that is rolled back tries again.
      if (one.kind === 'sqlite') return void t.pass();
      const [first, middle, last] = [A, B, C].toSorted((a, b) => (a.digest < b.digest ? -1 : 1)) as [Blob, Blob, Blob];
      const backwards = [last, middle, first];
      const id = await addPackage(one);
      await register(one, id, backwards);
      await record(one, id, 'obj_1', [last]);
      await record(one, id, 'obj_2', [middle, first]);
      const ids = ['obj_1', 'obj_2'];
      const takers: Record<string, (tables: Tables) => Promise<unknown>> = {
        condemn: ({ blobs }) => blobs.condemn(ids, 1),
        beginRemoving: ({ blobs }) => blobs.beginRemoving(ids, dueAt(LATE), 1),
        setGone: ({ blobs }) => blobs.setGone(ids, 1),
        markLost: ({ blobs }) => blobs.markLost(ids, 1),
        markFound: ({ blobs }) => blobs.markFound(ids, 1),
        lock: ({ blobs }) => blobs.lock(backwards, 1),
        retain: ({ blobs }) => blobs.retain(backwards, 1),
      };
      const locking = async (how: string, { digest }: Blob) => {
        const holder = await db.transaction();
        const row = await holder
          .raw(`select no from blobs where digest = ? for update ${how}`, [digestToBytes(digest)])
          .catch(() => null);
        return { isFree: row !== null, end: () => holder.rollback() };
      };
      for (const [what, take] of Object.entries(takers)) {
        const before = await locking('', first);
        const taken = two.transaction(async (tables) => {
          await take(tables);
          throw new Error('as it was');
        });
        const ended = t.throwsAsync(taken, { message: 'as it was' });
        const waits = await Promise.race([ended.then(() => false), untilSomebodyWaits(db).then(() => true)]);
        const after = await locking('nowait', last);
        await after.end();
        await before.end();
        await ended;
        t.true(waits, `${what} waits for nobody`);
        t.true(after.isFree, `${what} waits for the first, and has the last already`);
      }
    },
  );

  check('whoever condemns or removes waits for whoever retains what they hold', async (t, one, two, db) => {
    // SQLite has one writer.
    if (one.kind === 'sqlite') return void t.pass();
    const id = await addPackage(one);
    await register(one, id, [A]);
    await record(one, id, 'obj_1', [A]);
    for (const take of [condemn, beginRemoving]) {
      const end = Promise.withResolvers<void>();
      const retained = Promise.withResolvers<void>();
      const retaining = one.transaction(async ({ blobs }) => {
        await blobs.retain([A], 1);
        retained.resolve();
        await end.promise;
      });
      await retained.promise;
      const taken = take(two, ['obj_1']);
      const waits = await Promise.race([taken.then(() => false), untilSomebodyWaits(db).then(() => true)]);
      end.resolve();
      await Promise.all([retaining, taken]);
      t.true(waits, take.name);
    }
  });

  check(
    'an object that is lost holds nothing as long as it is, and goes once nothing needs it',
    async (t, one, _two, db) => {
      const id = await addPackage(one);
      await register(one, id, [A]);
      await record(one, id, 'obj_1', [A]);
      await one.transaction(({ blobs }) => blobs.markLost(['obj_1'], 5));
      t.deepEqual((await one.read.blobs.listDue(dueAt(LATE), 0, 9)).objects, [], 'it is needed');
      await record(one, id, 'obj_2', [A]);
      t.deepEqual((await one.read.blobs.listUnneeded(0, 9, LATE)).objects, [], 'only what is live can be condemned');
      t.deepEqual(await condemn(one, ['obj_1']), []);
      await one.transaction(({ blobs }) => blobs.markLost(['obj_2'], 6));
      t.deepEqual((await one.read.files.missing(id, 9)) as string[], [A.digest.slice(7)], 'nothing has its bytes');
      t.deepEqual(await lostAndFound(db), []);

      await one.transaction(({ blobs }) => blobs.markFound(['obj_2'], 7));
      t.deepEqual(
        (await one.read.blobs.listDue(dueAt(4), 0, 9)).objects,
        [],
        'it may come back for as long as the grace is',
      );
      t.like((await one.read.blobs.listDue(dueAt(5), 0, 9)).objects, [{ id: 'obj_1', state: 'lost', stored_size: 0 }]);
      t.deepEqual(await beginRemoving(one, ['obj_1', 'obj_2'], 5), ['obj_1']);
      await one.transaction(({ blobs }) => blobs.setGone(['obj_1'], 8));
      t.deepEqual(await lostAndFound(db), []);
      t.like(await one.read.blobs.locate(A.digest), { object_id: 'obj_2', state: 'live' });
    },
  );

  check(
    'bytes known to be wrong are kept while a file needs them, and go with what nothing needs',
    async (t, one, _two, db) => {
      const id = await addPackage(one);
      await register(one, id, [A]);
      await record(one, id, 'obj_1', [A]);
      await record(one, id, 'obj_2', [A], 'again');
      await db('blobs')
        .where({ digest: digestToBytes(A.digest) })
        .update({ quarantined_at: 1 });
      t.deepEqual(await condemn(one, ['obj_1', 'obj_2']), []);
      await one.transaction(({ packages }) => packages.update(id, { status: 'failed' }));
      t.deepEqual(await condemn(one, ['obj_1', 'obj_2']), ['obj_1', 'obj_2']);
    },
  );

  check(
    'whatever comes in whatever order, the registry tells what is held and what is lost',
    async (t, one, two, db) => {
      const seed = Number(process.env.ARTIFACT_STORE_TEST_SEED ?? randomBytes(4).readUInt32BE());
      const next = generator(seed);
      const oneOf = <Item>(items: readonly Item[]): Item => items[Math.floor(next() * items.length)] as Item;
      const blobs = [A, B, C];
      const packages = [await addPackage(one), await addPackage(one)];
      let made = 0;
      const some = (): Blob[] => blobs.filter(() => next() < 0.5);
      const ids = async (states: string[]): Promise<string[]> =>
        (await db('objects').whereIn('state', states).select('id'))
          .map(({ id }) => id as string)
          .filter(() => next() < 0.7);
      const acts: Array<(registry: Registry) => Promise<unknown>> = [
        (registry) => register(registry, oneOf(packages), some()),
        (registry) => register(registry, oneOf(packages), some(), 'unproven'),
        (registry) => record(registry, oneOf(packages), `obj_${++made}`, some()),
        (registry) => record(registry, oneOf(packages), `obj_${++made}`, some()),
        (registry) => record(registry, oneOf(packages), `obj_${++made}`, some(), 'again'),
        (registry) => remove(registry, packages, some()),
        (registry) => remove(registry, packages, some()),
        async (registry) => {
          const lost = await ids(['live', 'condemned', 'removing']);
          return registry.transaction((tables) => tables.blobs.markLost(lost, 1));
        },
        async (registry) => {
          const found = await ids(['lost', 'gone']);
          return registry.transaction((tables) => tables.blobs.markFound(found, 1));
        },
        async (registry) => condemn(registry, await ids(['live', 'lost', 'condemned', 'removing'])),
        async (registry) => condemn(registry, await ids(['live'])),
        async (registry) => beginRemoving(registry, await ids(['condemned', 'lost', 'live', 'gone'])),
        async (registry) => {
          const removing = await ids(['removing', 'gone']);
          return registry.transaction((tables) => tables.blobs.setGone(removing, 1));
        },
      ];
      for (let round = 0; round < ROUNDS; round += 1) {
        const [first, second] = [oneOf(acts), oneOf(acts)];
        await Promise.all([first(one), second(two)]);
        const wrong = await lostAndFound(db);
        t.deepEqual(wrong, [], `round ${round}, seed ${seed}`);
        if (wrong.length > 0) return;
      }
    },
  );
}

const ROUNDS = 150;

function pathOf({ digest }: Blob): LogicalPath {
  return parseLogicalPath(digest.slice(7));
}

/** Since this time, ms, whatever may be read elsewhere. */
const dueAt = (time: number): Due => ({ unneeded: time, elsewhere: time, now: time });

const condemn = (registry: Registry, ids: readonly string[]): Promise<string[]> =>
  registry.transaction(({ blobs }) => blobs.condemn(ids, 1));

const beginRemoving = (registry: Registry, ids: readonly string[], before = LATE): Promise<string[]> =>
  registry.transaction(({ blobs }) => blobs.beginRemoving(ids, dueAt(before), 3));

/** As `registerFiles` does. @returns of the last blob, whether it need not be sent */
async function registering(
  tables: Tables,
  id: PackageId,
  blobs: readonly Blob[],
  known: 'retained' | 'unproven' = 'retained',
): Promise<'stored' | 'missing'> {
  await tables.packages.lock(id);
  const provable = known === 'unproven' ? new Map() : await tables.files.provableBy(ALL, id, blobs);
  const wanted = blobs.filter(({ digest }) => provable.has(digest));
  const kept = await tables.blobs.retain(wanted, 2);
  const facts = { media_type: 'text/plain', mtime: null, executable: false };
  const put = [];
  for (const blob of blobs) {
    const old = await tables.files.get(id, pathOf(blob));
    put.push({ ...blob, ...facts, path: pathOf(blob), proven: kept.has(blob.digest) || (old?.proven ?? false) });
  }
  if (put.length > 0) await tables.files.put(id, put);
  return put.at(-1)?.proven ? 'stored' : 'missing';
}

function register(registry: Registry, id: PackageId, blobs: readonly Blob[], known?: 'unproven'): Promise<unknown> {
  return registry.transaction((tables) => registering(tables, id, blobs, known));
}

/** As `recordUpload` does, for what the package has files of. @param again although all of it is held */
async function recording(
  tables: Tables,
  packageId: PackageId,
  id: string,
  blobs: readonly Blob[],
  again?: 'again',
): Promise<void> {
  await tables.packages.lock(packageId);
  const notMissing = await tables.files.notMissing(packageId, blobs);
  const wanted = blobs.filter(({ digest }) => notMissing.get(digest) !== 'unknown');
  if (wanted.length === 0) return;
  const stored = await tables.blobs.lock(wanted, 1);
  if (stored.size < wanted.length || again !== undefined) {
    await tables.blobs.addObject(packRow(id));
    await tables.blobs.addLocations(
      id,
      wanted.map((blob, offset) => ({ ...blob, offset })),
    );
  }
  await tables.files.prove(packageId, wanted);
}

function record(
  registry: Registry,
  packageId: PackageId,
  id: string,
  blobs: readonly Blob[],
  again?: 'again',
): Promise<void> {
  return registry.transaction((tables) => recording(tables, packageId, id, blobs, again));
}

function remove(registry: Registry, packages: readonly PackageId[], blobs: readonly Blob[]): Promise<void> {
  return registry.transaction(async (tables) => {
    for (const id of packages) {
      await tables.packages.lock(id);
      for (const blob of blobs) await tables.files.remove(id, pathOf(blob));
    }
  });
}

async function proven(registry: Registry, id: PackageId): Promise<Digest[]> {
  return (await registry.read.files.page(id, null, 9)).filter((file) => file.proven && !file.lost).map((f) => f.digest);
}

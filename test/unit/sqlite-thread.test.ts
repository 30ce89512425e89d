import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Knex } from 'knex';
import { isStoreError } from '../../src/core/errors.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { SqliteThread } from '../../src/registry/sqlite-thread.ts';
import { tempFolder } from '../support/temp.ts';

async function open(t: ExecutionContext): Promise<{ db: Knex; file: string; rows: () => Promise<number[]> }> {
  const file = join(await tempFolder(t), 'registry.sqlite');
  const db = connectSqlite(file);
  t.teardown(() => db.destroy());
  await db.raw('create table t (n integer primary key)');
  return { db, file, rows: async () => (await db('t').orderBy('n')).map(({ n }: { n: number }) => n) };
}

test('a transaction that fails before its first statement was answered leaves nothing, and nothing open', async (t) => {
  const { db, rows } = await open(t);
  const failing = db.transaction(async (trx) => {
    trx('t')
      .insert({ n: 1 })
      .catch(() => {});
    throw new Error('before the answer');
  });
  await t.throwsAsync(failing, { message: 'before the answer' });
  await db('t').insert({ n: 2 });
  await db.transaction((trx) => trx('t').insert({ n: 3 }));
  t.deepEqual(await rows(), [2, 3]);
});

test('nothing of a transaction is done outside of it: when it could not begin, or a statement of it failed', async (t) => {
  const { db, file, rows } = await open(t);
  const other = connectSqlite(file);
  t.teardown(() => other.destroy());
  await db.raw('pragma busy_timeout = 0');
  await other.transaction(async (holding) => {
    await holding('t').insert({ n: 1 });
    const locked = db.transaction((trx) => Promise.all([trx('t').insert({ n: 2 }), trx('t').insert({ n: 3 })]));
    await t.throwsAsync(locked, { code: 'unavailable', message: /SQLITE_BUSY/ });
  });
  t.deepEqual(await rows(), [1]);
  const twice = db.transaction((trx) => Promise.all([trx('t').insert({ n: 1 }), trx('t').insert({ n: 4 })]));
  await t.throwsAsync(twice, { code: 'SQLITE_CONSTRAINT_PRIMARYKEY' });
  t.deepEqual(await rows(), [1]);
  await db.transaction(async (trx) => {
    await t.throwsAsync(trx('t').insert({ n: 1 }));
    await trx('t').insert({ n: 5 });
    await trx.transaction((inner) => inner('t').insert({ n: 6 }));
    await t.throwsAsync(
      trx.transaction(async (inner) => {
        await inner('t').insert({ n: 7 });
        throw new Error('only what is inside');
      }),
    );
  });
  await db.transaction(async () => {});
  t.deepEqual(await rows(), [1, 5, 6]);
});

test('what cannot be a value is an error, and the next statement is answered as ever', async (t) => {
  const thread = await SqliteThread.open(':memory:');
  await t.throwsAsync(thread.run('select ?', [(() => {}) as never]), { name: 'DataCloneError' });
  t.deepEqual(await thread.run('select 1 as one'), { rows: [{ one: 1 }] });
  t.deepEqual(await thread.run("select x'00' as mixed union all select 1"), {
    rows: [{ mixed: Buffer.from([0]) }, { mixed: 1 }],
  });
  t.deepEqual(await thread.run("select x'' as none, x'ff' as one, null as absent"), {
    rows: [{ none: Buffer.alloc(0), one: Buffer.from([255]), absent: null }],
  });
  const waiting = thread.run('select 2 as two');
  await thread.close();
  t.deepEqual(await waiting, { rows: [{ two: 2 }] });
  await t.throwsAsync(thread.run('select 3'), { code: 'REGISTRY_CLOSED' });
  await thread.close();
});

test('a request that waits too long for the registry is told that it is unavailable, and others continue', async (t) => {
  const file = join(await tempFolder(t), 'registry.sqlite');
  const db = connectSqlite(file, 50);
  t.teardown(() => db.destroy());
  // Its thread may take longer to start than this one waits.
  const made = () =>
    db.raw('create table t (n integer primary key)').then(
      () => true,
      () => false,
    );
  while (!(await made()));
  await db.transaction(async (holding) => {
    await holding('t').insert({ n: 1 });
    for (const waits of [() => db('t').select(), () => db.transaction((trx) => trx('t').insert({ n: 2 }))]) {
      const error = await t.throwsAsync(async () => waits(), { code: 'unavailable' });
      t.true(isStoreError(error));
    }
  });
  t.is((await db('t').select()).length, 1);
});

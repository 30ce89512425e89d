import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import anyTest, { type TestFn } from 'ava';
import { MIGRATIONS } from '../../migrations/index.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { migrate, NewerSchemaError } from '../../src/registry/migrate.ts';
import { openRegistry } from '../../src/registry/registry.ts';

const test = anyTest as TestFn<{ dir: string; file: string }>;

test.beforeEach(async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'artifact-store-migrate-'));
  t.context = { dir, file: join(dir, 'registry.sqlite') };
});
test.afterEach.always(async (t) => {
  await rm(t.context.dir, { recursive: true, force: true });
});

test('a rerun applies nothing', async (t) => {
  const first = await openRegistry(connectSqlite(t.context.file));
  t.is(first.schema.applied.length, MIGRATIONS.length);
  await first.close();
  const second = await openRegistry(connectSqlite(t.context.file));
  t.deepEqual(second.schema, { current: first.schema.current, applied: [] });
  await second.close();
});

test('if many processes migrate at once, one does the work and all succeed', async (t) => {
  const script = new URL('../support/migrate-process.ts', import.meta.url);
  const runs = await Promise.all(
    Array.from(
      { length: 6 },
      () =>
        new Promise<string[]>((resolve, reject) => {
          const child = fork(script, [t.context.file], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
          child.on('message', (applied) => resolve(applied as string[]));
          child.on('exit', (code) => code !== 0 && reject(new Error(`exit ${code}`)));
        }),
    ),
  );
  t.is(runs.filter((applied) => applied.length > 0).length, 1);
});

test('many connections can open a new registry at the same moment', async (t) => {
  const workers = Array.from(
    { length: 6 },
    () => new Worker(new URL('../../src/registry/sqlite-worker.ts', import.meta.url)),
  );
  const open = async (file: string) => {
    const answers = workers.map((worker) => once(worker, 'message'));
    for (const worker of workers) worker.postMessage({ open: file });
    return (await Promise.all(answers)).map(([answer]) => answer.failed);
  };
  await open(':memory:');
  // SQLite refuses some of them in about one round of ten.
  for (let round = 0; round < 60; round++) {
    t.deepEqual(await open(join(t.context.dir, `${round}.sqlite`)), Array(6).fill(undefined));
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
});

test('a migration waits for another that takes longer than the busy timeout', async (t) => {
  const [one, two] = [connectSqlite(t.context.file), connectSqlite(t.context.file)];
  await two.raw('pragma busy_timeout = 0');
  const release = await new Promise<() => void>((held) => {
    void one.transaction((trx) => trx.raw('select 1').then(() => new Promise<void>((resolve) => held(resolve))));
  });
  const migrating = migrate(two);
  await setTimeout(300);
  release();
  t.is((await migrating).applied.length, MIGRATIONS.length);
  const [{ timeout }] = await two.raw('pragma busy_timeout');
  t.is(timeout, 0, 'as it was before');
  await Promise.all([one.destroy(), two.destroy()]);
});

test('a newer schema is refused with what to do; nothing is changed', async (t) => {
  const db = connectSqlite(t.context.file);
  await migrate(db);
  await db('knex_migrations').insert({
    name: '9999_from_the_future',
    batch: 2,
    migration_time: new Date().toISOString(),
  });
  const error = await t.throwsAsync(() => migrate(db), { instanceOf: NewerSchemaError });
  t.regex(error?.message ?? '', /9999_from_the_future.*upgrade this service/);
  await db.destroy();
});

test('a process killed while it migrates leaves nothing half done and no lock', async (t) => {
  const script = new URL('../support/migrate-process.ts', import.meta.url);
  const child = fork(script, [t.context.file, '^create table [`"]?uploads'], { stdio: 'ignore' });
  const [, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on('exit', (code, by) => resolve([code, by])),
  );
  t.is(signal, 'SIGKILL');
  const registry = await openRegistry(connectSqlite(t.context.file));
  t.is(registry.schema.applied.length, MIGRATIONS.length, 'all of it, from the beginning');
  await registry.close();
});

test('SQLite runs in WAL mode with synchronous=FULL and foreign keys', async (t) => {
  const db = connectSqlite(t.context.file);
  const pragma = async (name: string) => Object.values((await db.raw(`pragma ${name}`))[0])[0];
  t.is(await pragma('journal_mode'), 'wal');
  t.is(await pragma('synchronous'), 2);
  t.is(await pragma('foreign_keys'), 1);
  await db.destroy();
});

test('a transaction takes the write lock at its beginning', async (t) => {
  const [one, two] = [connectSqlite(t.context.file), connectSqlite(t.context.file)];
  await one.raw('create table t (n integer)');
  await two.raw('pragma busy_timeout = 0');
  await one.transaction(async (trx) => {
    await trx.raw('select 1');
    await t.throwsAsync(() => two.raw('insert into t values (1)'), { message: /SQLITE_BUSY/ });
  });
  await two.raw('insert into t values (1)');
  await Promise.all([one.destroy(), two.destroy()]);
});

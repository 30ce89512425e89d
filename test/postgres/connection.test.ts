import { fork } from 'node:child_process';
import test from 'ava';
import { MIGRATIONS } from '../../migrations/index.ts';
import { digestOf } from '../../src/core/digest.ts';
import type { StoreError } from '../../src/core/errors.ts';
import type { PackageId } from '../../src/core/ids.ts';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { migrate, NewerSchemaError } from '../../src/registry/migrate.ts';
import { openRegistry } from '../../src/registry/registry.ts';
import { apiOf } from '../support/api.ts';
import { postgresFraming } from '../support/exchanges.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { POSTGRES } from '../support/postgres.ts';
import { startPostgresProcess } from '../support/postgres-process.ts';
import { required } from '../support/required.ts';
import { startTestService } from '../support/service.ts';
import { ADMIN_TOKEN, makeToken } from '../support/tokens.ts';

const PASSWORD = 'not-to-be-told';

/** The same database, by a URL that holds a password. */
function withPassword(url: string): string {
  const changed = new URL(url);
  changed.password ||= PASSWORD;
  return changed.href;
}

const postgres = await required('Connections to PostgreSQL', POSTGRES);
if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());
  const script = new URL('../support/migrate-process.ts', import.meta.url);

  test('if many processes migrate at once, one does the work and all succeed', async (t) => {
    const url = await postgres.createDatabase();
    const runs = await Promise.all(
      Array.from(
        { length: 6 },
        () =>
          new Promise<string[]>((resolve, reject) => {
            const child = fork(script, [url], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
            child.on('message', (applied) => resolve(applied as string[]));
            child.on('exit', (code) => code !== 0 && reject(new Error(`exit ${code}`)));
          }),
      ),
    );
    t.deepEqual(runs.map((applied) => applied.length).toSorted(), [0, 0, 0, 0, 0, MIGRATIONS.length]);
  });

  test('a process killed while it migrates leaves nothing half done and no lock', async (t) => {
    const url = await postgres.createDatabase();
    const child = fork(script, [url, '^create table [`"]?uploads'], { stdio: 'ignore' });
    const [, signal] = await new Promise<[number | null, string | null]>((resolve) =>
      child.on('exit', (code, by) => resolve([code, by])),
    );
    t.is(signal, 'SIGKILL');
    const registry = await openRegistry(connectPostgres(url));
    t.is(registry.schema.applied.length, MIGRATIONS.length, 'all of it, from the beginning');
    await registry.close();
  });

  test('a newer schema is refused', async (t) => {
    const db = connectPostgres(await postgres.createDatabase());
    await migrate(db);
    const future = { name: '9999_from_the_future', batch: 2, migration_time: new Date() };
    await db('knex_migrations').insert(future);
    await t.throwsAsync(() => migrate(db), { instanceOf: NewerSchemaError });
    await db.destroy();
  });

  test('a transaction that a deadlock rolled back runs again, from its beginning', async (t) => {
    const registry = await openRegistry(connectPostgres(await postgres.createDatabase()));
    let runs = 0;
    let holding = 0;
    const crossing = (first: string, second: string) =>
      registry.transaction(async ({ blobs }) => {
        runs++;
        await blobs.lock([{ digest: digestOf(first), size: 1 }], 1);
        holding++;
        await waitFor(() => holding >= 2);
        await blobs.lock([{ digest: digestOf(second), size: 1 }], 1);
      });
    await Promise.all([crossing('a', 'b'), crossing('b', 'a')]);
    t.is(runs, 3, 'the victim twice');
    await registry.close();
  });

  test('a connection that is lost in a transaction is told as unavailable, and not by its SQL', async (t) => {
    const url = new URL(await postgres.createDatabase());
    const proxy = await startFaultProxy({ host: url.hostname, port: Number(url.port) }, postgresFraming);
    t.teardown(() => proxy.close());
    url.port = String(proxy.port);
    const registry = await openRegistry(connectPostgres(url.href));
    t.teardown(() => registry.close());
    for (const [point, end] of [
      ['asked', 'reset'],
      ['answering', 'reset'],
      ['sent', 'cut'],
    ] as const) {
      for (const statement of [/^select .* from "packages"/, /^commit/i]) {
        const made = proxy.once({ point, of: ({ what }) => statement.test(what), act: (link) => link[end]() });
        const work = registry.transaction((tables) => tables.packages.get('pkg_none' as PackageId));
        const error = (await t.throwsAsync(work)) as StoreError;
        await made;
        t.is(error.code, 'unavailable', `${statement} ${point}: ${error.message}`);
        t.notRegex(error.message, /select|commit|rollback/i);
      }
    }
    t.is(await registry.read.packages.get('pkg_none' as PackageId), null, 'and works again');
  });

  test('a connection has a name, and gives up waiting', async (t) => {
    const db = connectPostgres(await postgres.createDatabase());
    const settings = ['application_name', 'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'];
    const { rows } = await db.raw(
      `select ${settings.map((setting) => `current_setting('${setting}') as ${setting}`).join(', ')}`,
    );
    t.like(rows[0], { application_name: 'artifact-store' });
    t.true(settings.slice(1).every((setting) => Number.parseInt(rows[0][setting], 10) > 0));
    await t.throwsAsync(() => db.raw('select 9007199254740992::bigint'), { message: /9007199254740992.*too large/ });
    await db.destroy();
  });

  test('a database that does not exist stops the start, by the name of the variable', async (t) => {
    const url = new URL(withPassword(await postgres.createDatabase()));
    url.pathname = '/nowhere';
    const error = await t.throwsAsync(() => startTestService({ env: { ARTIFACT_STORE_DATABASE_URL: url.href } }));
    t.regex(error?.message ?? '', /ARTIFACT_STORE_DATABASE_URL.*nowhere/);
    t.false(error?.message.includes(url.password));
  });

  test('while the database is away requests get 503, without its password, and work again when it is back', async (t) => {
    const server = await startPostgresProcess();
    t.teardown(() => server.stop());
    const service = await startTestService({
      env: { ARTIFACT_STORE_DATABASE_URL: withPassword(`postgres://postgres@127.0.0.1:${server.port}/postgres`) },
    });
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    const id = await api.preserve({ a: 'kept' });
    await server.kill();
    for (let n = 0; n < 3; n++) {
      const answer = await api.get(`/v1/packages/${id}`);
      t.is(answer.status, 503);
      t.is(answer.body.code, 'unavailable');
      t.regex(answer.body.detail, /127\.0\.0\.1:\d+, database "postgres"/);
      t.false(JSON.stringify(answer.body).includes(PASSWORD));
      t.is((await api.post('/v1/packages', { name: 'n', producer: 'p' })).status, 503);
    }
    const readiness = await api.get('/readyz');
    t.is(readiness.status, 503);
    t.like(readiness.body.registry, { kind: 'postgres', ok: false });
    await server.start();
    t.is((await api.get(`/v1/packages/${id}/files/a`)).body, 'kept');
    await api.preserve({ b: 'after' });
  });

  test('a service that was started anew shows strangers no more while the database is away than before', async (t) => {
    const server = await startPostgresProcess();
    t.teardown(() => server.stop());
    const env = {
      ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN,
      ARTIFACT_STORE_DATABASE_URL: withPassword(`postgres://postgres@127.0.0.1:${server.port}/postgres`),
    };
    const before = await startTestService({ env });
    await makeToken(apiOf(before.url, ADMIN_TOKEN), { scopes: ['operator'] });
    await before.stop();
    const service = await startTestService({ env, dataDir: before.dataDir });
    t.teardown(() => before.dispose());
    t.teardown(() => service.stop());
    await server.kill();
    const stranger = apiOf(service.url);
    for (const path of ['/metrics', '/docs', '/openapi.json']) t.is((await stranger.get(path)).status, 401, path);
    t.deepEqual((await stranger.get('/readyz')).body, { status: 'not_ready', under_way: [] });
    t.is((await apiOf(service.url, ADMIN_TOKEN).get('/metrics')).status, 200);
  });
}

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

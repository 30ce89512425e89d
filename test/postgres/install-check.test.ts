import test from 'ava';
import { installCheck } from '../../src/install-check/install-check.ts';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { apiOf } from '../support/api.ts';
import { POSTGRES } from '../support/postgres.ts';
import { required } from '../support/required.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { makeToken } from '../support/tokens.ts';

/** What `install-check` says of a real PostgreSQL, which it does not change. */
const postgres = await required('install-check on PostgreSQL', POSTGRES);
if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());

  test('an empty database, the schema of this version, that of a newer one, and tokens', async (t) => {
    const env = {
      ARTIFACT_STORE_PORT: '0',
      ARTIFACT_STORE_HOST: '0.0.0.0',
      ARTIFACT_STORE_DATA_DIR: await tempFolder(t),
    };
    const told = async (url: string) => {
      const checks = await installCheck({ ...env, ARTIFACT_STORE_DATABASE_URL: url });
      return (name: string) => checks.find((check) => check.name === name);
    };
    const empty = await postgres.createDatabase();
    const ofEmpty = await told(empty);
    t.like(ofEmpty('database'), { level: 'ok' });
    t.like(ofEmpty('database_clock'), { level: 'ok' });
    t.like(ofEmpty('database_schema'), { level: 'note' });
    t.like(ofEmpty('token'), { level: 'failure' });
    const db = connectPostgres(empty);
    t.teardown(() => db.destroy());
    t.is((await db('pg_tables').where({ schemaname: 'public' })).length, 0, 'nothing was made');

    const migrated = await postgres.createMigrated();
    t.like((await told(migrated))('database_schema'), { level: 'ok' });
    const service = await startTestService({ env: { ARTIFACT_STORE_DATABASE_URL: migrated } });
    t.teardown(() => service.dispose());
    await makeToken(apiOf(service.url), { scopes: ['operator'] });
    t.like((await told(migrated))('token'), { level: 'ok' });

    const newer = await postgres.createMigrated();
    const newerDb = connectPostgres(newer);
    t.teardown(() => newerDb.destroy());
    await newerDb('knex_migrations').insert({ name: '9999_of_tomorrow', batch: 9, migration_time: new Date() });
    const ofNewer = (await told(newer))('database_schema');
    t.is(ofNewer?.level, 'failure');
    t.regex(ofNewer?.says ?? '', /newer artifact-store: it has 9999_of_tomorrow/);
  });

  test('a database of another encoding fails', async (t) => {
    const url = await postgres.createDatabase();
    const db = connectPostgres(url);
    t.teardown(() => db.destroy());
    const name = new URL(url).pathname.slice(1);
    await db.raw(`create database ${name}_latin template template0 encoding 'LATIN1' locale 'C'`);
    const latin = new URL(url);
    latin.pathname = `/${name}_latin`;
    const checks = await installCheck({
      ARTIFACT_STORE_PORT: '0',
      ARTIFACT_STORE_DATA_DIR: await tempFolder(t),
      ARTIFACT_STORE_DATABASE_URL: latin.href,
    });
    t.like(
      checks.find((check) => check.name === 'database_encoding'),
      { level: 'failure' },
    );
    await db.raw(`drop database ${name}_latin with (force)`);
  });
}

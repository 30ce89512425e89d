import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import test from 'ava';
import { ConfigError, loadConfig } from '../../src/config.ts';
import { placeOf } from '../../src/registry/connect-postgres.ts';
import { startTestService } from '../support/service.ts';

const VARIABLE = 'ARTIFACT_STORE_DATABASE_URL';

test('both spellings of PostgreSQL are taken; without the variable it is SQLite', (t) => {
  for (const url of ['postgres://u:p@db.example:5433/store', 'postgresql:///store?host=/run/postgresql']) {
    t.is(loadConfig({ [VARIABLE]: url }).databaseUrl, url);
  }
  t.is(loadConfig({}).databaseUrl, null);
  t.is(loadConfig({ [VARIABLE]: '' }).databaseUrl, null);
});

test('another database, or what is no URL, is refused with a message that names the variable and no password', (t) => {
  for (const url of ['mysql://u:secret@db/store', 'db/store', 'sqlite:///x', 'postgres://u:sec/ret@db:x/store']) {
    const error = t.throws(() => loadConfig({ [VARIABLE]: url }), { instanceOf: ConfigError });
    t.regex(error?.message ?? '', /^ARTIFACT_STORE_DATABASE_URL must be a URL as in postgres:/, url);
    t.notRegex(error?.message ?? '', /sec\/?ret/);
  }
});

test('messages name host and database, never user or password', (t) => {
  t.is(placeOf('postgres://u:secret@db.example/store'), 'db.example:5432, database "store"');
  t.is(placeOf('postgres://u:secret@[::1]:5433/a%20b?sslmode=require'), '[::1]:5433, database "a b"');
  t.is(placeOf('postgresql:///store?host=/run/postgresql'), '/run/postgresql:5432, database "store"');
});

test('a database that cannot be reached stops the start with one message that names the variable', async (t) => {
  const port = await closedPort();
  const url = `postgres://u:secret@127.0.0.1:${port}/store`;
  const error = await t.throwsAsync(() => startTestService({ env: { [VARIABLE]: url } }), { instanceOf: ConfigError });
  t.is(
    error?.message,
    `${VARIABLE}: PostgreSQL at 127.0.0.1:${port}, database "store" cannot answer now: connect ECONNREFUSED 127.0.0.1:${port}. Start the database, or correct the variable.`,
  );
});

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

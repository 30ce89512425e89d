import type { Knex } from 'knex';
import { MIGRATIONS } from '../../migrations/index.ts';
import { describeDatabase } from '../configured-registry.ts';
import { connectPostgres } from '../registry/connect-postgres.ts';
import { databaseClock } from '../usecases/diagnose.ts';
import { type Check, failure, note, ok, warning } from './check.ts';

/** The oldest version that is still maintained, as `server_version_num` has it. */
const POSTGRES_MIN = 140_000;
/** What one service opens at most. */
const CONNECTIONS = 20;

interface Server {
  number: number;
  version: string;
  encoding: string;
  connections: number;
  now: number;
  tls: boolean;
  local: boolean;
  may_create: boolean;
}

export interface DatabaseChecks {
  checks: Check[];
  /** Whether a token was ever made; null: it cannot be known. */
  hasTokens: boolean | null;
}

/** A PostgreSQL registry, which is read and neither migrated nor changed. @throws StoreError when it does not answer */
export async function checkDatabase(databaseUrl: string): Promise<DatabaseChecks> {
  const db = connectPostgres(databaseUrl);
  try {
    const server = await askServer(db);
    const has = async (table: string) => db.schema.hasTable(table);
    const migrated = (await has('knex_migrations')) ? await migrationsOf(db) : [];
    const hasTokens = (await has('api_tokens')) && (await db('api_tokens').first('id')) !== undefined;
    const checks = [
      version(server, describeDatabase({ databaseUrl })),
      ...encoding(server),
      await databaseClock(Promise.resolve(server.now)),
      schema(migrated, server),
      ...(server.tls || server.local ? [] : [UNENCRYPTED]),
      ...connections(server),
    ];
    return { checks, hasTokens };
  } finally {
    await db.destroy();
  }
}

async function askServer(db: Knex): Promise<Server> {
  const { rows } = await db.raw(`select current_setting('server_version_num')::int as number,
    current_setting('server_version') as version, current_setting('server_encoding') as encoding,
    current_setting('max_connections')::int as connections,
    (extract(epoch from clock_timestamp()) * 1000)::bigint as now,
    coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as tls,
    coalesce(inet_client_addr() is null or host(inet_client_addr()) in ('127.0.0.1', '::1'), true) as local,
    has_schema_privilege(current_schema(), 'create') as may_create`);
  return rows[0];
}

async function migrationsOf(db: Knex): Promise<string[]> {
  const rows: Array<{ name: string }> = await db('knex_migrations').select('name').orderBy('id');
  return rows.map(({ name }) => name);
}

function version({ number, version }: Server, place: string): Check {
  const says = `${place} answers: version ${version}`;
  if (number >= POSTGRES_MIN) return ok('database', `${says}.`);
  return warning('database', `${says}, which gets no more corrections.`, 'Use PostgreSQL 14 or newer.');
}

function encoding({ encoding }: Server): Check[] {
  if (encoding === 'UTF8') return [];
  const says = `The database's encoding is ${encoding}.`;
  return [failure('database_encoding', says, 'Make it again as docs/postgresql.md says: it must be UTF8.')];
}

function schema(migrated: readonly string[], { may_create }: Server): Check {
  const name = 'database_schema';
  const known = MIGRATIONS.map((migration) => migration.name);
  const unknown = migrated.filter((migration) => !known.includes(migration));
  if (unknown.length > 0) {
    const says = `The registry was made by a newer artifact-store: it has ${unknown.join(', ')}.`;
    return failure(name, says, 'Install that version, or restore a backup from before the upgrade.');
  }
  const missing = known.length - migrated.length;
  if (missing === 0) return ok(name, `The schema is that of this version (${known.at(-1)}).`);
  const what = migrated.length === 0 ? 'The database has no registry yet' : `The schema lacks ${missing} migrations`;
  if (may_create) return note(name, `${what}: the service makes what it lacks when it starts.`);
  const advice = 'Make the user the owner of the database, or GRANT CREATE ON SCHEMA public to it.';
  return failure(name, `${what}, and this user may not make tables.`, advice);
}

const UNENCRYPTED: Check = warning(
  'database_tls',
  'The connection to the database is not encrypted.',
  'Add ?sslmode=verify-full to ARTIFACT_STORE_DATABASE_URL, unless the network between them is trusted.',
);

function connections({ connections }: Server): Check[] {
  if (connections >= 2 * CONNECTIONS) return [];
  const says = `The database takes ${connections} connections; one service opens up to ${CONNECTIONS}.`;
  return [warning('database_connections', says, 'Raise max_connections before there are several replicas.')];
}

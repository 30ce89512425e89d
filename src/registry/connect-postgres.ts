import knex, { type Knex } from 'knex';
import postgresDialect from 'knex/lib/dialects/postgres/index.js';
import pg from 'pg';
import { noDamage, withDamage } from './damage.ts';
import { refuseNul } from './dialect.ts';
import { translated } from './postgres-errors.ts';
import { writeRefused } from './read-only.ts';

type Connection = { __knex__disposed?: unknown };
type Query = string | { sql: string; bindings?: readonly unknown[] };
type PostgresClient = new (
  ...settings: unknown[]
) => {
  acquireConnection(): Promise<Connection>;
  query(connection: Connection, query: Query): Promise<unknown>;
};

const Client = postgresDialect as PostgresClient;

const POOL_MAX = 20;
const CONNECT_TIMEOUT_MS = 10_000;
/** How long a request waits for one of the pool's connections. */
const ACQUIRE_TIMEOUT_MS = 15_000;
const STATEMENT_TIMEOUT_MS = 60_000;
/** A replica frozen inside a transaction loses its locks after this, sooner than those who wait for them give up. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;
const LOCK_TIMEOUT_MS = 20_000;
/** When not even the server's own timeout is heard of, the server or the way to it is gone. */
const SILENCE_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 15_000;

/**
 * @param url `postgres://user:password@host:port/database`; what its query says (sslmode, application_name, …) has
 * precedence. Nothing is connected before the first query; queries fail with StoreError unavailable while the database
 * is away, and work again when it is back.
 */
export function connectPostgres(url: string): Knex {
  const place = placeOf(url);
  const damage = noDamage();

  class ServicePostgres extends Client {
    readOnly = false;

    override async acquireConnection(): Promise<Connection> {
      try {
        return await super.acquireConnection();
      } catch (error) {
        throw translated(error, place, damage);
      }
    }

    override async query(connection: Connection, query: Query): Promise<unknown> {
      const sql = typeof query === 'string' ? query : query.sql;
      if (this.readOnly && !isRead(sql)) throw writeRefused(sql);
      if (typeof query !== 'string') refuseNul(query.bindings ?? []);
      try {
        return await super.query(connection, query);
      } catch (error) {
        // The answer to this query may still come: the connection cannot be used for another.
        if (error instanceof Error && error.message === 'Query read timeout') connection.__knex__disposed = error;
        throw translated(error, place, damage);
      }
    }
  }

  const db = knex({
    client: ServicePostgres as unknown as typeof Knex.Client,
    connection: {
      connectionString: url,
      application_name: 'artifact-store',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
      query_timeout: SILENCE_TIMEOUT_MS,
      types: { getTypeParser },
    } as Knex.PgConnectionConfig,
    pool: { min: 0, max: POOL_MAX },
    acquireConnectionTimeout: ACQUIRE_TIMEOUT_MS,
    // What knex would print, whoever waits for the query is told.
    log: { warn: ignore, error: ignore, deprecate: ignore, debug: ignore },
  });
  return withDamage(db, damage);
}

/** Host and database of a URL, for messages: never the user's password. */
export function placeOf(url: string): string {
  const { hostname, port, pathname, searchParams } = new URL(url);
  const host = searchParams.get('host') ?? (hostname === '' ? 'localhost' : hostname);
  const database = decodeURIComponent(pathname.slice(1));
  return `${host}:${searchParams.get('port') ?? (port === '' ? '5432' : port)}, database ${JSON.stringify(database)}`;
}

/**
 * By its words: to make a session read-only would lift what an operator has set for it, and reach others behind a pooler; a
 * transaction for each read would take three ways instead of one.
 */
function isRead(sql: string): boolean {
  return /^\s*(select|with)\b/i.test(sql) && !/\b(insert|update|delete|merge|into)\b/i.test(sql);
}

function ignore(): void {}

const INT8 = 20;

/** Sizes and times are bigint columns: numbers here, as on SQLite, and never one that a number cannot hold. */
function getTypeParser(oid: number, format?: 'text' | 'binary'): unknown {
  return oid === INT8 && format !== 'binary' ? parseInt8 : pg.types.getTypeParser(oid, format as 'text');
}

function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`the registry holds the integer ${text}, which is too large`);
  return value;
}

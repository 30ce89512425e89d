import { createRequire } from 'node:module';
import knex, { type Knex } from 'knex';
import { refuseNul } from './dialect.ts';

type Query = string | { bindings?: readonly unknown[] };
type SqliteConnection = { pragma(text: string): unknown };
type SqliteClient = new (
  ...settings: unknown[]
) => {
  acquireRawConnection(): Promise<SqliteConnection>;
  query(connection: unknown, query: Query): Promise<unknown>;
  transaction(...args: unknown[]): unknown;
};
type SqliteTransaction = new (...args: unknown[]) => { query(connection: unknown, sql: string): Promise<unknown> };

const load = createRequire(import.meta.url);
const Client = load('knex/lib/dialects/better-sqlite3/index.js') as SqliteClient;
const Transaction = load('knex/lib/dialects/sqlite3/execution/sqlite-transaction.js') as SqliteTransaction;

/**
 * A deferred transaction that reads first and writes later fails with SQLITE_BUSY_SNAPSHOT, whatever the timeout, when
 * another process wrote in between. Ours always mean to write: they take the lock at their first statement.
 */
class ImmediateTransaction extends Transaction {
  begin(connection: unknown): Promise<unknown> {
    return this.query(connection, 'BEGIN IMMEDIATE;');
  }
}

class DurableSqlite extends Client {
  override async acquireRawConnection(): Promise<SqliteConnection> {
    const connection = await super.acquireRawConnection();
    connection.pragma('busy_timeout = 10000');
    connection.pragma('journal_mode = WAL');
    // In WAL mode FULL is what makes an acknowledged commit survive a power failure.
    connection.pragma('synchronous = FULL');
    connection.pragma('foreign_keys = ON');
    return connection;
  }

  override async query(connection: unknown, query: Query): Promise<unknown> {
    if (typeof query !== 'string') refuseNul(query.bindings ?? []);
    return super.query(connection, query);
  }

  override transaction(...args: unknown[]): unknown {
    return new ImmediateTransaction(this, ...args);
  }
}

/** @param file the SQLite file, made when it does not exist */
export function connectSqlite(file: string): Knex {
  return knex({
    client: DurableSqlite as unknown as typeof Knex.Client,
    connection: { filename: file },
    useNullAsDefault: true,
    // One connection: SQLite has one writer, and every query inside a transaction must use the transaction's.
    pool: { min: 1, max: 1 },
  });
}

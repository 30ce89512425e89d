import { createRequire } from 'node:module';
import knex, { type Knex } from 'knex';

type SqliteConnection = { pragma(text: string): unknown; prepare(sql: string): unknown };
type SqliteClient = new (
  ...settings: unknown[]
) => {
  acquireRawConnection(): Promise<SqliteConnection>;
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
    keepStatements(connection);
    return connection;
  }

  override transaction(...args: unknown[]): unknown {
    return new ImmediateTransaction(this, ...args);
  }
}

/** More statements than the service has; what goes beyond is compiled anew. */
const STATEMENTS_KEPT = 500;

/** Compiling a statement costs more than most of ours cost to run, and their texts are constant. */
function keepStatements(connection: SqliteConnection): void {
  const prepare = connection.prepare.bind(connection);
  const kept = new Map<string, unknown>();
  connection.prepare = (sql) => {
    const known = kept.get(sql);
    if (known !== undefined) return known;
    const statement = prepare(sql);
    if (kept.size < STATEMENTS_KEPT) kept.set(sql, statement);
    return statement;
  };
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

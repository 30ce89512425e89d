import { chmodSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setImmediate as turn } from 'node:timers/promises';
import knex, { type Knex } from 'knex';
import { StoreError } from '../core/errors.ts';
import { refuseNul } from './dialect.ts';
import { type SyncData, WalFile } from './wal-file.ts';

type Query = string | { sql: string; bindings?: readonly unknown[] };
type SqliteConnection = {
  inTransaction: boolean;
  pragma(text: string): unknown;
  prepare(sql: string): PreparedStatement;
  /** Something was written since the log was synced. */
  wrote?: boolean;
  /** Null: a database in memory. */
  wal?: WalFile | null;
  /** When others were let in last, by performance.now(). */
  lastTurn?: number;
};
type PreparedStatement = { readonly readonly: boolean };
type SqliteClient = new (
  ...settings: unknown[]
) => {
  readonly config: { syncData?: SyncData };
  readonly connectionSettings: { filename: string };
  acquireRawConnection(): Promise<SqliteConnection>;
  destroyRawConnection(connection: SqliteConnection): Promise<void>;
  query(connection: SqliteConnection, query: Query): Promise<unknown>;
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
    try {
      const connection = await super.acquireRawConnection();
      // For the owner alone, also once it is copied out of the data folder; SQLite's other files take it over.
      const { filename } = this.connectionSettings;
      if (filename !== ':memory:') chmodSync(filename, 0o600);
      connection.pragma('busy_timeout = 5000');
      connection.pragma('journal_mode = WAL');
      // What FULL would do beside, `makeDurable` does, in a thread.
      connection.pragma('synchronous = NORMAL');
      connection.wal = filename === ':memory:' ? null : new WalFile(filename, this.config.syncData ?? fdatasync);
      connection.pragma('foreign_keys = ON');
      keepStatements(connection);
      return connection;
    } catch (error) {
      const { filename } = this.connectionSettings;
      throw new Error(`The registry ${filename} cannot be opened (${(error as Error).message}).`, { cause: error });
    }
  }

  override async query(connection: SqliteConnection, query: Query): Promise<unknown> {
    if (typeof query !== 'string') refuseNul(query.bindings ?? []);
    const sql = typeof query === 'string' ? query : query.sql;
    // A full disk has SQLite roll back by itself; to roll back once more would hide why.
    if (/^rollback;?$/i.test(sql) && !connection.inTransaction) return query;
    try {
      const answer = await super.query(connection, query);
      await makeDurable(connection);
      return answer;
    } catch (error) {
      throw registryError(error);
    } finally {
      await letOthersIn(connection);
    }
  }

  override async destroyRawConnection(connection: SqliteConnection): Promise<void> {
    await super.destroyRawConnection(connection);
    await connection.wal?.close();
  }

  override transaction(...args: unknown[]): unknown {
    return new ImmediateTransaction(this, ...args);
  }
}

const fdatasync: SyncData = (file) => file.datasync();

/**
 * After a COMMIT, or a change outside a transaction: only what survives a power failure is acknowledged. The connection,
 * the only one, is held meanwhile, so nobody reads what might be lost.
 */
async function makeDurable(connection: SqliteConnection): Promise<void> {
  if (!connection.wrote || connection.inTransaction) return;
  await connection.wal?.sync();
  connection.wrote = false;
}

const TURN_MS = 5;

/** A statement waits for nothing, so that without this one transaction after the other would run and no request be read. */
async function letOthersIn(connection: SqliteConnection): Promise<void> {
  if (performance.now() - (connection.lastTurn ?? 0) < TURN_MS) return;
  await turn();
  connection.lastTurn = performance.now();
}

/** What an error of SQLite means to a caller; anything else stays what it is. */
function registryError(error: unknown): unknown {
  const code = String((error as { code?: unknown }).code ?? '');
  if (code === 'SQLITE_FULL' || code === 'ENOSPC' || code === 'EDQUOT') {
    return new StoreError('no_space', 'The registry had no space left to write to.', {}, { cause: error });
  }
  if (/^(SQLITE_(BUSY|IOERR|READONLY|CANTOPEN)|EIO$|EROFS$)/.test(code)) {
    return new StoreError('unavailable', `The registry cannot be used now (${code}).`, {}, { cause: error });
  }
  return error;
}

/** More statements than the service has; the oldest gives way. */
const STATEMENTS_KEPT = 500;

/** Compiling a statement costs more than most of ours cost to run, and their texts are constant. */
function keepStatements(connection: SqliteConnection): void {
  const prepare = connection.prepare.bind(connection);
  const kept = new Map<string, PreparedStatement>();
  connection.prepare = (sql) => {
    let statement = kept.get(sql);
    if (statement === undefined) {
      statement = prepare(sql);
      if (kept.size >= STATEMENTS_KEPT) kept.delete(kept.keys().next().value as string);
      kept.set(sql, statement);
    }
    // Who prepares, runs it next.
    connection.wrote ||= !statement.readonly;
    return statement;
  };
}

const quiet = (): void => {};
/** Knex prints what it throws as well, with a stack: whoever catches it tells it. */
const SILENT = { warn: quiet, error: quiet, deprecate: quiet, debug: quiet };

/**
 * @param file the SQLite file, made when it does not exist
 * @param syncData for tests that watch, or break, what makes a COMMIT durable
 */
export function connectSqlite(file: string, syncData: SyncData = fdatasync): Knex {
  const config = {
    client: DurableSqlite as unknown as typeof Knex.Client,
    connection: { filename: file },
    useNullAsDefault: true,
    // One connection: SQLite has one writer, and every query inside a transaction must use the transaction's.
    pool: { min: 1, max: 1 },
    // Values must not get into messages, and so into the log.
    compileSqlOnError: false,
    log: SILENT,
    syncData,
  };
  return knex(config);
}

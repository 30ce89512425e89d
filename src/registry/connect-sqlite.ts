import knex, { type Knex } from 'knex';
import sqliteDialect from 'knex/lib/dialects/better-sqlite3/index.js';
import sqliteTransaction from 'knex/lib/dialects/sqlite3/execution/sqlite-transaction.js';
import { StoreError } from '../core/errors.ts';
import { type Damage, noDamage, withDamage } from './damage.ts';
import { refuseNul } from './dialect.ts';
import type { Binding } from './row-pack.ts';
import { REGISTRY_CLOSED, SqliteThread, type SqlOutcome } from './sqlite-thread.ts';

interface Query {
  sql: string;
  bindings?: readonly unknown[];
  response?: unknown;
  context?: { lastID: number | bigint; changes: number };
}
type SqliteClient = new (
  ...settings: unknown[]
) => {
  readonly connectionSettings: { filename: string };
  acquireConnection(): Promise<SqliteThread>;
  query(connection: SqliteThread, query: Query | string): Promise<unknown>;
  transaction(...args: unknown[]): unknown;
  /** Dates and booleans as SQLite has them. */
  _formatBindings(bindings: readonly unknown[] | undefined): Binding[];
};
type SqliteTransaction = new (...args: unknown[]) => object;

const Client = sqliteDialect as SqliteClient;
const Transaction = sqliteTransaction as SqliteTransaction;

/** Begins with its first statement, and for writing (sqlite-worker.ts). */
class ImmediateTransaction extends Transaction {
  async begin(connection: SqliteThread): Promise<void> {
    connection.begin();
  }
}

/** How long a request waits for the one connection. */
const ACQUIRE_TIMEOUT_MS = 60_000;

/** knex's dialect of SQLite, its statements run in a thread. */
function threadedSqlite(damage: Damage) {
  let opened = false;
  return class ThreadedSqlite extends Client {
    readOnly = false;

    /** SQLite itself is loaded by the thread. */
    _driver(): object {
      return {};
    }

    override async acquireConnection(): Promise<SqliteThread> {
      try {
        return await super.acquireConnection();
      } catch (error) {
        if (isTimeout(error)) throw busy(error);
        // Who starts the service is told which file cannot be opened; whoever uses it later only that.
        throw opened ? registryError((error as Error).cause ?? error, damage) : error;
      }
    }

    async acquireRawConnection(): Promise<SqliteThread> {
      const { filename } = this.connectionSettings;
      try {
        const connection = await SqliteThread.open(filename);
        opened = true;
        return connection;
      } catch (error) {
        throw new Error(`The registry ${filename} cannot be opened (${(error as Error).message}).`, { cause: error });
      }
    }

    validateConnection(connection: SqliteThread): boolean {
      return connection.isUsable;
    }

    destroyRawConnection(connection: SqliteThread): Promise<void> {
      return connection.close();
    }

    override async query(connection: SqliteThread, query: Query | string): Promise<unknown> {
      if (typeof query !== 'string') refuseNul(query.bindings ?? []);
      const sql = typeof query === 'string' ? query : query.sql;
      // Nothing has begun yet.
      if (/^rollback;?$/i.test(sql) && connection.dropBegin()) return query;
      try {
        return await super.query(connection, query);
      } catch (error) {
        throw registryError(error, damage);
      }
    }

    async _query(connection: SqliteThread, query: Query): Promise<Query> {
      const outcome: SqlOutcome = await connection.run(query.sql, this._formatBindings(query.bindings), this.readOnly);
      if ('rows' in outcome) return Object.assign(query, { response: outcome.rows });
      const { changes, lastInsertRowid } = outcome;
      return Object.assign(query, { response: outcome, context: { lastID: lastInsertRowid, changes } });
    }

    override transaction(...args: unknown[]): unknown {
      return new ImmediateTransaction(this, ...args);
    }
  };
}

/** What an error of SQLite means to a caller; anything else stays what it is. */
function registryError(error: unknown, damage: Damage): unknown {
  const code = String((error as { code?: unknown }).code ?? '');
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) return damage.note(code, error);
  if (code === 'SQLITE_FULL') {
    return new StoreError('no_space', 'There is no space left to write to the registry.', {}, { cause: error });
  }
  if (/^SQLITE_(BUSY|LOCKED|PROTOCOL|NOMEM|IOERR|READONLY|CANTOPEN)/.test(code) || code === REGISTRY_CLOSED) {
    return new StoreError('unavailable', `The registry cannot be used now (${code}).`, {}, { cause: error });
  }
  return error;
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'KnexTimeoutError';
}

function busy(cause: unknown): StoreError {
  return new StoreError('unavailable', 'The registry is busy with other requests: try again.', {}, { cause });
}

const quiet = (): void => {};
/** Knex prints what it throws as well, with a stack: whoever catches it tells it. */
const SILENT = { warn: quiet, error: quiet, deprecate: quiet, debug: quiet };

/** @param file the SQLite file, made when it does not exist @param acquireTimeout how long a request waits for it, ms */
export function connectSqlite(file: string, acquireTimeout = ACQUIRE_TIMEOUT_MS): Knex {
  const damage = noDamage();
  const db = knex({
    client: threadedSqlite(damage) as unknown as typeof Knex.Client,
    connection: { filename: file },
    useNullAsDefault: true,
    // One connection: SQLite has one writer, and every query inside a transaction must use the transaction's.
    // A long log takes its time to get into the file.
    pool: { min: 1, max: 1, destroyTimeoutMillis: 60_000 },
    acquireConnectionTimeout: acquireTimeout,
    // Values must not get into messages, and so into the log.
    compileSqlOnError: false,
    log: SILENT,
  });
  return withDamage(db, damage);
}

import Sqlite, { type Database, type Statement } from 'better-sqlite3';
import knex, { type Knex } from 'knex';
import sqliteDialect from 'knex/lib/dialects/better-sqlite3/index.js';
import { writeRefused } from '../../../src/registry/read-only.ts';

interface Query {
  sql: string;
  bindings?: readonly unknown[];
  response?: unknown;
  context?: { lastID: number | bigint; changes: number };
}

const Client = sqliteDialect as new (
  ...settings: unknown[]
) => { _formatBindings(bindings: readonly unknown[] | undefined): unknown[] };

/** As in the service's thread, each statement is compiled once, and outside of a transaction none writes. */
function sqliteHere() {
  const kept = new Map<string, Statement<unknown[]>>();
  return class SqliteHere extends Client {
    readOnly = false;

    async acquireRawConnection(): Promise<Database> {
      const database = new Sqlite(':memory:');
      database.pragma('foreign_keys = ON');
      return database;
    }

    async _query(connection: Database, query: Query): Promise<Query> {
      const statement = kept.get(query.sql) ?? connection.prepare<unknown[]>(query.sql);
      kept.set(query.sql, statement);
      if (this.readOnly && !statement.readonly) throw writeRefused(query.sql);
      const bindings = this._formatBindings(query.bindings);
      if (statement.reader) return Object.assign(query, { response: statement.all(...bindings) });
      const outcome = statement.run(...bindings);
      const { changes, lastInsertRowid } = outcome;
      return Object.assign(query, { response: outcome, context: { lastID: lastInsertRowid, changes } });
    }
  };
}

/**
 * SQLite in memory, whose statements run where they are asked for: a schedule has thousands, and each costs less than the way to a
 * thread and back.
 */
export function connectSqliteHere(): Knex {
  const quiet = (): void => {};
  return knex({
    client: sqliteHere() as unknown as typeof Knex.Client,
    connection: { filename: ':memory:' },
    useNullAsDefault: true,
    pool: { min: 1, max: 1 },
    log: { warn: quiet, error: quiet, deprecate: quiet, debug: quiet },
  });
}

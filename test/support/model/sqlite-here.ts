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

interface Compiled {
  statement: Statement<unknown[]>;
  /** Null: it gives no rows. */
  columns: string[] | null;
}

function compile(connection: Database, sql: string): Compiled {
  const statement = connection.prepare<unknown[]>(sql);
  if (!statement.reader) return { statement, columns: null };
  return { statement: statement.raw(), columns: statement.columns().map(({ name }) => name) };
}

/** A LIMIT that is bound makes SQLite compile the statement anew each time it is bound: it is written into the text. */
function withLimit(sql: string, bindings: readonly unknown[]): { sql: string; bindings: readonly unknown[] } {
  const at = sql.indexOf('limit ?');
  if (at === -1) return { sql, bindings };
  const place = sql.slice(0, at).split('?').length - 1;
  return { sql: sql.replace('limit ?', `limit ${bindings[place]}`), bindings: bindings.toSpliced(place, 1) };
}

/** Faster than those that the driver makes. */
function asObject(columns: readonly string[], row: readonly unknown[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (let at = 0; at < columns.length; at += 1) object[columns[at] as string] = row[at];
  return object;
}

/** As in the service's thread, each statement is compiled once, and outside of a transaction none writes. */
function sqliteHere() {
  const kept = new Map<string, Compiled>();
  return class SqliteHere extends Client {
    readOnly = false;

    async acquireRawConnection(): Promise<Database> {
      const database = new Sqlite(':memory:');
      database.pragma('foreign_keys = ON');
      return database;
    }

    async _query(connection: Database, query: Query): Promise<Query> {
      const { sql, bindings } = withLimit(query.sql, this._formatBindings(query.bindings));
      const compiled = kept.get(sql) ?? compile(connection, sql);
      kept.set(sql, compiled);
      const { statement, columns } = compiled;
      if (this.readOnly && !statement.readonly) throw writeRefused(sql);
      if (columns !== null) {
        const rows = statement.all(...bindings) as unknown[][];
        return Object.assign(query, { response: rows.map((row) => asObject(columns, row)) });
      }
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

import { chmodSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import Sqlite, { type Database, type Statement } from 'better-sqlite3';
import { writeRefused } from './read-only.ts';
import { type Binding, buffersOf, type Cell, packRows, type RowPack } from './row-pack.ts';

/** One after the other; each has one answer, in the same order. */
export type ToSqlite = { open: string } | SqlStatement | { close: true };
export interface SqlStatement {
  sql: string;
  bindings: Binding[];
  /** A transaction begins before it; or it is part of the one that has begun. */
  transaction: 'begin' | 'within' | null;
  /** It is refused when SQLite says that it writes. */
  readOnly: boolean;
}
export type FromSqlite =
  | { rows: RowPack }
  | { changes: number; lastInsertRowid: number | bigint }
  | { failed: { message: string; code: string | undefined } };

/** More statements than the service has; the oldest gives way. */
const STATEMENTS_KEPT = 500;

/**
 * A deferred transaction that reads first and writes later fails with SQLITE_BUSY_SNAPSHOT, whatever the timeout, when
 * another process wrote in between. Ours always mean to write: they take the lock at their first statement.
 */
const BEGIN = 'BEGIN IMMEDIATE';
/** How long a statement waits for what another process has locked, milliseconds. */
const BUSY_TIMEOUT_MS = 5_000;
const ROLLBACK = /^rollback;?$/i;
const NOTHING = { changes: 0, lastInsertRowid: 0 };

let db: Database | undefined;
/** Compiling a statement costs more than most of ours cost to run, and their texts are constant. */
const kept = new Map<string, Statement<Binding[]>>();

function open(file: string): Database {
  const opened = new Sqlite(file);
  // For the owner alone, also once it is copied out of the data folder; SQLite's other files take it over.
  if (file !== ':memory:') chmodSync(file, 0o600);
  opened.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
  useWal(opened);
  // A COMMIT that was answered survives a power failure.
  opened.pragma('synchronous = FULL');
  // In pages. Digests stand at random places of their index: registering a thousand files changes a thousand pages of it, and
  // what follows changes many of them again before the log, of up to 64 MiB, is put into the file.
  opened.pragma('wal_autocheckpoint = 16000');
  opened.pragma('foreign_keys = ON');
  return opened;
}

/**
 * When several processes change a new file to WAL at the same moment, SQLite refuses some of them without waiting for its
 * busy timeout. A file that is in WAL already needs no lock for this.
 */
function useWal(opened: Database): void {
  const deadline = Date.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      opened.pragma('journal_mode = WAL');
      return;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'SQLITE_BUSY' || Date.now() > deadline) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

function statementOf(sql: string): Statement<Binding[]> {
  let statement = kept.get(sql);
  if (statement === undefined) {
    if (db === undefined) throw new Error('The registry is not open.');
    statement = db.prepare<Binding[]>(sql);
    if (statement.reader) statement.raw();
    if (kept.size >= STATEMENTS_KEPT) kept.delete(kept.keys().next().value as string);
    kept.set(sql, statement);
  }
  return statement;
}

function answer(message: FromSqlite): void {
  parentPort?.postMessage(message, 'rows' in message ? buffersOf(message.rows) : []);
}

function take(message: ToSqlite): void {
  if ('open' in message) {
    db = open(message.open);
    answer(NOTHING);
  } else if ('close' in message) {
    db?.close();
    answer(NOTHING);
  } else {
    run(message);
  }
}

function run({ sql, bindings, transaction, readOnly }: SqlStatement): void {
  const isOpen = db?.inTransaction ?? false;
  if (transaction === 'within' && !isOpen) {
    // BEGIN failed, or SQLite has rolled back by itself, as on a full disk: nothing may be done outside of the transaction.
    if (!ROLLBACK.test(sql)) throw new Error('The transaction has ended.');
    answer(NOTHING);
    return;
  }
  // Nobody goes on with what was left open.
  if (transaction !== 'within' && isOpen) statementOf('ROLLBACK').run();
  if (transaction === 'begin') statementOf(BEGIN).run();
  const statement = statementOf(sql);
  if (readOnly && !statement.readonly) throw writeRefused(sql);
  if (statement.reader) {
    const columns = statement.columns().map(({ name }) => name);
    answer({ rows: packRows(columns, statement.all(...bindings) as Cell[][]) });
  } else {
    answer(statement.run(...bindings));
  }
}

parentPort?.on('message', (message: ToSqlite) => {
  try {
    take(message);
  } catch (error) {
    const { message: text, code } = error as Error & { code?: string };
    answer({ failed: { message: text, code } });
  }
});

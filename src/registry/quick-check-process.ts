import { setPriority } from 'node:os';
import Sqlite from 'better-sqlite3';

/**
 * Runs SQLite's quick check on the file of the first argument, read-only, and sends what it found. A process of its own: it can
 * be ended in the middle, which a thread inside SQLite cannot.
 */
const [, , file = ''] = process.argv;
// Whoever asks the service for something comes first.
try {
  setPriority(19);
} catch {
  // A filter of system calls, as of a unit or a container, may forbid it: then it takes part like any other.
}
const db = new Sqlite(file, { readonly: true, fileMustExist: true });
const rows = db.pragma('quick_check(1)') as Array<{ quick_check: string }>;
db.close();
const [first] = rows;
process.send?.({ found: first?.quick_check ?? 'ok' });

import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

export interface FolderLock {
  release(): void;
}

/**
 * Locks a folder against every other process, and against a second time in this one. SQLite's file lock ends with the
 * process, however it ends: there is never a stale lock to remove by hand. Nothing else may open lock.sqlite in this
 * process, since closing any other descriptor of it would drop the lock.
 * @returns null when somebody else holds it @throws SqliteError when lock.sqlite cannot be written
 */
export function lockFolder(dir: string): FolderLock | null {
  let database: Database.Database | undefined;
  try {
    database = new Database(join(dir, 'lock.sqlite'), { timeout: 0 });
    // No journal file, which a kill would leave behind.
    database.pragma('journal_mode = MEMORY');
    database.pragma('locking_mode = EXCLUSIVE');
    // Writing shows that the file was not opened read-only, which SQLite does by itself and where locks would be shared.
    database.exec('BEGIN EXCLUSIVE; PRAGMA user_version = 1; COMMIT; BEGIN EXCLUSIVE;');
    // By name: opening and closing the file once more would drop the lock.
    chmodSync(join(dir, 'lock.sqlite'), 0o600);
    const held = database;
    return { release: () => void held.close() };
  } catch (error) {
    database?.close();
    if (/^SQLITE_(BUSY|LOCKED)/.test((error as { code?: string }).code ?? '')) return null;
    throw error;
  }
}

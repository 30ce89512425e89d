import { chmodSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { hasErrno } from './file-layer.ts';

export interface FolderLock {
  /** Which file is locked: another one of the same name is another lock. */
  readonly file: string;
  /** The file that is locked still has its name. */
  stands(): Promise<boolean>;
  release(): void;
}

/**
 * Locks a folder against every other process, and against a second time in this one. SQLite's file lock ends with the
 * process, however it ends: there is never a stale lock to remove by hand. Nothing else may open lock.sqlite in this
 * process, since closing any other descriptor of it would drop the lock.
 *
 * Who removes lock.sqlite makes room for a second lock. So the holder looks whether it stands, and whoever takes it looks
 * whether a holder of another file lives (folder-holder.ts).
 * @returns null when somebody else holds it @throws SqliteError when lock.sqlite cannot be written
 */
export async function lockFolder(dir: string): Promise<FolderLock | null> {
  const path = join(dir, 'lock.sqlite');
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { timeout: 0 });
    // No journal file, which a kill would leave behind.
    database.pragma('journal_mode = MEMORY');
    database.pragma('locking_mode = EXCLUSIVE');
    // Writing shows that the file was not opened read-only, which SQLite does by itself and where locks would be shared.
    database.exec('BEGIN EXCLUSIVE; PRAGMA user_version = 1; COMMIT; BEGIN EXCLUSIVE;');
    // By name: opening and closing the file once more would drop the lock.
    chmodSync(path, 0o600);
    const held = database;
    const file = await identityOf(path);
    return {
      file: file ?? '',
      stands: async () => file !== null && (await identityOf(path)) === file,
      release: () => void held.close(),
    };
  } catch (error) {
    database?.close();
    if (/^SQLITE_(BUSY|LOCKED)/.test((error as { code?: string }).code ?? '')) return null;
    throw error;
  }
}

/** Device and inode: the same as long as it is the same file or folder. Null: there is none. */
export async function identityOf(path: string): Promise<string | null> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

/** A process, told apart from a later one with the same number. Null: there is none, or this system does not tell. */
export async function processIdentity(pid: number): Promise<string | null> {
  try {
    const [boot, facts] = await Promise.all([
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
      readFile(`/proc/${pid}/stat`, 'utf8'),
    ]);
    // The name, in parentheses, may hold anything; the start time is the twentieth field after it.
    const started = facts.slice(facts.lastIndexOf(')') + 2).split(' ')[19];
    return started === undefined ? null : `${boot.trim()}:${started}`;
  } catch {
    return null;
  }
}

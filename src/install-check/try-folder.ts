import { link, mkdtemp, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { hasErrno } from '../blobs/file-layer.ts';

/** Where a file system does not do what the store builds on; `message` says what, and what was seen. */
export class FolderProblem extends Error {
  override readonly name = 'FolderProblem';
}

/**
 * Does in a folder of its own, which is removed again, what the folder store and SQLite do: new files of mode 0600, fsync of files and
 * folders, links that replace nothing, renames that replace, locks.
 * @returns how long it took to write a small file and have it on the disk, ms @throws FolderProblem
 */
export async function tryFolder(place: string): Promise<{ syncMs: number }> {
  const dir = await step('making a folder', () => mkdtemp(join(place, '.artifact-store-check-')));
  try {
    const [first, second, linked] = ['first', 'second', 'linked'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ];
    const started = performance.now();
    await step('writing and syncing a file', () => writeSynced(first, 'first'));
    const syncMs = performance.now() - started;
    await writeSynced(second, 'second');
    const { mode } = await stat(first);
    if ((mode & 0o777) !== 0o600) throw new FolderProblem(`a new file of mode 600 has ${(mode & 0o777).toString(8)}`);
    await step('linking a file', () => link(first, linked));
    await refusesToReplace(second, linked);
    await step('renaming a file over another', () => rename(second, first));
    await same(first, 'second');
    await same(linked, 'first');
    await step('syncing a folder', () => syncFolder(dir));
    await step('locking a file', async () => tryLock(join(dir, 'lock.sqlite')));
    return { syncMs };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function step<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw new FolderProblem(`${what} fails (${(error as Error).message})`, { cause: error });
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function refusesToReplace(file: string, standing: string): Promise<void> {
  const replaced = await link(file, standing).then(
    () => true,
    (error: unknown) => {
      if (hasErrno(error, 'EEXIST')) return false;
      throw error;
    },
  );
  if (replaced) throw new FolderProblem('a link replaces a file that stands there');
}

async function same(path: string, text: string): Promise<void> {
  const found = await readFile(path, 'utf8');
  if (found !== text)
    throw new FolderProblem(`a file reads ${JSON.stringify(found)} where ${JSON.stringify(text)} was written`);
}

function tryLock(path: string): void {
  const database = new Database(path, { timeout: 0 });
  try {
    database.pragma('journal_mode = MEMORY');
    database.exec('BEGIN EXCLUSIVE; PRAGMA user_version = 1; COMMIT;');
  } finally {
    database.close();
  }
}

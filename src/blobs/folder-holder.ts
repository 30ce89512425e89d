import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type FolderLock, identityOf, processIdentity } from './folder-lock.ts';

export const HOLDER_FILE = 'holder.json';

/** What a holder says of itself in the folder. */
export interface Holder {
  pid: number;
  started_at: string;
  url?: string;
  /** Which process, folder and lock file these are (folder-lock.ts); null where the system does not tell. */
  process: string | null;
  folder: string | null;
  lock: string;
}

export async function holderFacts(dir: string, lock: FolderLock): Promise<Holder> {
  return {
    pid: process.pid,
    started_at: new Date().toISOString(),
    process: await processIdentity(process.pid),
    folder: await identityOf(dir),
    lock: lock.file,
  };
}

/** @returns null when there is no such file, or another one */
export async function readHolder(dir: string): Promise<Partial<Holder> | null> {
  try {
    const holder: unknown = JSON.parse(await readFile(join(dir, HOLDER_FILE), 'utf8'));
    return typeof holder === 'object' && holder !== null ? holder : null;
  } catch {
    return null;
  }
}

/** Does a process hold this folder by a lock file that is no longer the one of that name? */
export async function isHeldByAnother(dir: string, lock: FolderLock): Promise<boolean> {
  const holder = await readHolder(dir);
  // Of the same file the lock itself has told; a copied folder has the holder of the original.
  if (!holder?.process || !holder.pid || holder.lock === lock.file) return false;
  if (holder.folder !== (await identityOf(dir))) return false;
  return (await processIdentity(holder.pid)) === holder.process;
}

/** For messages: `process 4711 at http://127.0.0.1:8420`. */
export async function describeHolder(dir: string): Promise<string> {
  const holder = await readHolder(dir);
  if (!holder?.pid) return 'another process';
  return `process ${holder.pid}${holder.url === undefined ? '' : ` at ${holder.url}`}`;
}

/** Looks again and again. @returns when the lock's file is gone or another one, never before; `stop` ends the looking */
export function watchLock(lock: FolderLock, interval: number): { lost: Promise<void>; stop(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setInterval(async () => {
    // What cannot be checked now is checked again later.
    if (await lock.stands().catch(() => true)) return;
    clearInterval(timer);
    resolve();
  }, interval);
  timer.unref();
  return { lost: promise, stop: () => clearInterval(timer) };
}

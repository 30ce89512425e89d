import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { codeOf } from './errno.ts';
import type { OpenFolder } from './open-folder.ts';
import { isOwnFile, isPartial, journalOf } from './partial-name.ts';
import { moved } from './refusals.ts';

/** What every private folder's name begins with. */
export function privatePrefix(packageId: string): string {
  return `.artifact-store-pull-${packageId}-`;
}

/**
 * The folder inside a pull's directory in which its files are created, on the same file system as their final places.
 * Its name says which process owns it. A folder whose process is gone, or has given it up, is taken over by one rename, which
 * only one process can do, and its unfinished files are continued.
 */
export class PrivateFolder {
  readonly folder: OpenFolder;
  /** A pull of this package into this directory was cut off before. */
  readonly continued: boolean;
  readonly #root: OpenFolder;
  readonly #prefix: string;
  readonly #name: string;

  private constructor(root: OpenFolder, prefix: string, name: string, continued: boolean) {
    this.#root = root;
    this.#prefix = prefix;
    this.#name = name;
    this.continued = continued;
    this.folder = enter(root, name);
  }

  static open(root: OpenFolder, packageId: string): PrivateFolder {
    const prefix = privatePrefix(packageId);
    const ownName = (): string => `${prefix}${ownerHere()}-${randomBytes(6).toString('hex')}`;
    const left = root.names().flatMap((name) => {
      if (!name.startsWith(prefix) || !isAbandoned(root, name, name.slice(prefix.length))) return [];
      const taken = ownName();
      return take(root.at(name), root.at(taken)) ? [taken] : [];
    });
    const name = left[0] ?? ownName();
    if (left.length === 0) mkdirSync(root.at(name), { mode: 0o700 });
    const opened = new PrivateFolder(root, prefix, name, left.length > 0);
    try {
      for (const other of left.slice(1)) moveAll(root, other, opened.folder);
      clean(opened.folder);
      // After a power cut the next pull must know that this one was under way.
      root.sync();
    } catch (error) {
      opened.folder.close();
      throw error;
    }
    return opened;
  }

  /** @param keep what the next pull can continue with, of this process, too; and what shows it that one was interrupted */
  close({ keep }: { keep: boolean }): void {
    try {
      if (keep) this.#giveUp();
      else remove(this.#root, this.#name, this.folder);
    } finally {
      this.folder.close();
    }
  }

  /** A process lives on after a pull that failed: its name on the folder would keep everybody from continuing. */
  #giveUp(): void {
    const free = `${this.#prefix}${machineHere()}-${NOBODY}-${randomBytes(6).toString('hex')}`;
    try {
      renameSync(this.#root.at(this.#name), this.#root.at(free));
    } catch {
      // It stays this process's until that is gone.
    }
  }

  /** Names of large files that the next pull could continue with. */
  partials(): string[] {
    return this.folder.names().filter((name) => name.endsWith('.part'));
  }
}

/** In the place of a process: there is none of this id. */
const NOBODY = '0-0';

/** `<machine>-<process id>-<when it started>`: an id alone is used again. */
function ownerHere(): string {
  return `${machineHere()}-${process.pid}-${startOf(process.pid) ?? 0}`;
}

function machineHere(): string {
  return createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
}

/** Of another machine's processes nothing is known: their folders are left alone. */
function isAbandoned(root: OpenFolder, name: string, owner: string): boolean {
  const [machine, id, started] = owner.split('-');
  const stats = root.look(name);
  if (!stats?.isDirectory() || Number(stats.uid) !== process.getuid?.()) return false;
  if (machine !== machineHere() || !/^\d{1,10}$/.test(id ?? '')) return false;
  return `${id}-${started}` === NOBODY || !isRunning(Number(id)) || String(startOf(Number(id)) ?? 0) !== started;
}

function isRunning(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

/** Field 22 of proc(5) stat, in ticks since the machine started; null where there is none. */
function startOf(id: number): string | null {
  try {
    const fields = readFileSync(`/proc/${id}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[19] ?? null;
  } catch {
    return null;
  }
}

function take(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** @throws CliError file_refused when somebody put another folder there since it was made or taken over */
function enter(root: OpenFolder, name: string): OpenFolder {
  const folder = root.enter(name);
  if (folder !== null && isOwn(folder)) return folder;
  folder?.close();
  throw moved(name);
}

/** Nobody but this user and root may write in it: it was made so. On some file systems its owner has another id. */
function isOwn(folder: OpenFolder): boolean {
  const owner = Number(folder.look('.')?.uid);
  return owner === process.getuid?.() || owner === ownerOfNewFile(folder);
}

function ownerOfNewFile(folder: OpenFolder): number {
  const name = randomBytes(12).toString('hex');
  const fd = openSync(folder.at(name), 'wx', 0o600);
  try {
    unlinkSync(folder.at(name));
    return fstatSync(fd).uid;
  } finally {
    closeSync(fd);
  }
}

/** A file and its journal together, and not over one that is there: bytes and a journal of two pulls do not fit. */
function moveAll(root: OpenFolder, other: string, to: OpenFolder): void {
  const from = enter(root, other);
  try {
    const there = new Set(to.names());
    for (const name of from.names()) {
      if (!name.endsWith('.part') || there.has(name)) continue;
      for (const each of [journalOf(name), name]) take(from.at(each), to.at(each));
    }
    remove(root, other, from);
  } finally {
    from.close();
  }
}

/** Removes all but files that may be continued. */
function clean(folder: OpenFolder): void {
  for (const name of folder.names()) {
    if (!isPartial(name) || !isOwnFile(folder.look(name))) unlink(folder, name);
  }
}

function remove(root: OpenFolder, name: string, folder: OpenFolder): void {
  for (const each of folder.names()) unlink(folder, each);
  try {
    rmdirSync(root.at(name));
  } catch (error) {
    if (!NOT_OURS.has(codeOf(error))) throw error;
  }
}

/** Folders in it, or something else in its place, are somebody else's: they stay. */
const NOT_OURS = new Set(['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST', 'EISDIR', 'EPERM']);

function unlink(folder: OpenFolder, name: string): void {
  try {
    unlinkSync(folder.at(name));
  } catch (error) {
    if (!NOT_OURS.has(codeOf(error))) throw error;
  }
}

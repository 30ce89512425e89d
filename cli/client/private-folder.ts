import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** What every private folder's name begins with. */
export function privatePrefix(packageId: string): string {
  return `.artifact-store-pull-${packageId}-`;
}

/** What may be gone on with; see partial-file.ts. */
const PARTIAL = /^[0-9a-f]{64}\.(part|ranges)$/;

/**
 * The folder inside a pull's directory in which its files are made, on the same file system as their places. Its name says
 * which process owns it. A folder whose process is gone is taken over by one rename, which only one can do, and what is
 * unfinished in it is gone on with.
 */
export class PrivateFolder {
  readonly path: string;
  /** A pull of this package into this directory was cut off before. */
  readonly continued: boolean;

  private constructor(path: string, continued: boolean) {
    this.path = path;
    this.continued = continued;
  }

  static open(root: string, packageId: string): PrivateFolder {
    const prefix = privatePrefix(packageId);
    const ownName = (): string => join(root, `${prefix}${ownerHere()}-${randomBytes(6).toString('hex')}`);
    const left: string[] = [];
    for (const name of readdirSync(root)) {
      if (!name.startsWith(prefix) || !isAbandoned(join(root, name), name.slice(prefix.length))) continue;
      const taken = ownName();
      if (take(join(root, name), taken)) left.push(taken);
    }
    const path = left[0] ?? ownName();
    if (left.length === 0) mkdirSync(path, { mode: 0o700 });
    for (const other of left.slice(1)) {
      for (const name of readdirSync(other)) if (PARTIAL.test(name)) renameSync(join(other, name), join(path, name));
      rmSync(other, { recursive: true });
    }
    for (const name of readdirSync(path)) {
      if (!PARTIAL.test(name)) rmSync(join(path, name), { recursive: true, force: true });
    }
    // After a power cut the next pull must know that this one was under way.
    syncFolder(root);
    return new PrivateFolder(path, left.length > 0);
  }

  /** @param keep leave what the next pull can go on with, and what tells it that one was cut off */
  close({ keep }: { keep: boolean }): void {
    if (keep && (this.continued || readdirSync(this.path).some((name) => name.endsWith('.part')))) return;
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** `<machine>-<process id>-<when it started>`: an id alone is used again. */
function ownerHere(): string {
  return `${machineHere()}-${process.pid}-${startOf(process.pid) ?? 0}`;
}

function machineHere(): string {
  return createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
}

/** Of another machine's processes nothing is known: their folders are left alone. */
function isAbandoned(path: string, owner: string): boolean {
  const [machine, id, started] = owner.split('-');
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (!stats?.isDirectory() || stats.uid !== process.getuid?.()) return false;
  if (machine !== machineHere() || !/^\d{1,10}$/.test(id ?? '')) return false;
  return !isRunning(Number(id)) || String(startOf(Number(id)) ?? 0) !== started;
}

function isRunning(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
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
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

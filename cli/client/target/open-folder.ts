import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { codeOf } from './errno.ts';
import { moved } from './refusals.ts';

/** open(2): a handle to go through, for which no right to read is needed. Node's constants lack it. */
const O_PATH = 0o10000000;
const ENTER =
  constants.O_DIRECTORY | constants.O_NOFOLLOW | (process.platform === 'linux' ? O_PATH : constants.O_RDONLY);

/** Says which folder or file it is, whatever its path: device and inode number. */
export type Inode = string & { readonly __brand: 'Inode' };

export function inodeOf({ dev, ino }: BigIntStats): Inode {
  return `${dev}:${ino}` as Inode;
}

/** What another thread of this process needs to use the same handle. */
export interface FolderHandle {
  fd: number;
  path: string;
  /** Names can be reached through the handle: there is a /proc that shows it. */
  reachable: boolean;
}

/**
 * A folder that stays the same one, whatever its path leads to by now. Names in it are reached through its handle, as
 * `openat` and `linkat` would (which Node lacks), so nobody who moves folders or puts symlinks in their places can lead a
 * write elsewhere. Where no /proc shows the handle (macOS), its path is looked at before each use: between the look and
 * the use it can still be replaced.
 */
export class OpenFolder {
  readonly handle: FolderHandle;
  readonly id: Inode;

  private constructor(handle: FolderHandle) {
    this.handle = handle;
    this.id = inodeOf(fstatSync(handle.fd, { bigint: true }));
  }

  /**
   * A folder that a person named: symlinks in its path are followed, once.
   * @param byHandle false: does without /proc, as where there is none
   */
  static open(path: string, byHandle = true): OpenFolder {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    if (byHandle && isReachable(fd)) return new OpenFolder({ fd, path: resolve(path), reachable: true });
    const opened = new OpenFolder({ fd, path: realpathSync.native(path), reachable: false });
    opened.assertInPlace();
    return opened;
  }

  /** The same handle in another thread: whoever opened it closes it. */
  static of(handle: FolderHandle): OpenFolder {
    return new OpenFolder(handle);
  }

  /**
   * A path that leads to the name in this folder: for one call, at once.
   * @param name one segment
   */
  at(name: string): string {
    const { fd, path, reachable } = this.handle;
    if (reachable) return `/proc/self/fd/${fd}/${name}`;
    this.assertInPlace();
    return join(path, name);
  }

  /** Its path still leads to it. @throws CliError file_refused */
  assertInPlace(): void {
    const { path } = this.handle;
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (!stats || inodeOf(stats) !== this.id) throw moved(path);
  }

  /** A folder in this one, or null. @throws Error ENOTDIR, ELOOP for what is no folder, or a symlink to one */
  enter(name: string): OpenFolder | null {
    try {
      const fd = openSync(this.at(name), ENTER);
      return new OpenFolder({ ...this.handle, fd, path: join(this.handle.path, name) });
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      throw error;
    }
  }

  /** What has the name, not followed; null: nothing has. */
  look(name: string): BigIntStats | null {
    return lstatSync(this.at(name), { bigint: true, throwIfNoEntry: false }) ?? null;
  }

  names(): string[] {
    return readdirSync(this.at('.'));
  }

  /** The names in it are on the disk. */
  sync(): void {
    const fd = openSync(this.at('.'), constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  close(): void {
    closeSync(this.handle.fd);
  }
}

function isReachable(fd: number): boolean {
  try {
    const through = statSync(`/proc/self/fd/${fd}/.`, { bigint: true });
    return inodeOf(through) === inodeOf(fstatSync(fd, { bigint: true }));
  } catch {
    return false;
  }
}

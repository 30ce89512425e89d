import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  copyFile,
  copyFileSync,
  fchmodSync,
  fsyncSync,
  futimesSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ancestors } from '../../src/core/logical-path.ts';
import { CliError, EXIT } from '../errors.ts';
import type { PartialFile } from './partial-file.ts';
import { sameBytes } from './same-bytes.ts';

/** Where `link` cannot be used: another mount below the folder, or a file system without hard links. */
const NO_LINK = new Set(['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL']);

/** What a file has beside its bytes. */
export interface Kept {
  executable: boolean;
  mtime: Date | null;
}

/** Where bytes go. */
export interface Place {
  path: string;
  kept: Kept;
  /** An empty file that stands there is what a pull left that was cut off: it may be replaced. */
  unfinished: boolean;
}

/** The directory of a pull, and the folder inside it in which files are made. */
export interface PlacementFolders {
  root: string;
  private: string;
  /** What the names of private folders begin with; so does whatever else is made for a moment. */
  prefix: string;
}

/**
 * Gives checked files their names. Nothing is written outside the directory, not through a symlink in it either; nothing that
 * is there is ever replaced: a file appears under its name whole and checked, or not at all. Calls are synchronous: ten
 * thousand small files take a third of the time. Several may work in one directory at once, in threads of their own.
 */
export class Placement {
  readonly #folders: PlacementFolders;
  /** Folders seen to be real ones, relative to the root. */
  readonly #real = new Set<string>(['.']);
  /** Of the names in the private folder that are this one's alone. */
  readonly #own = randomBytes(12).toString('hex');
  #names = 0;

  constructor(folders: PlacementFolders) {
    this.#folders = folders;
  }

  /** Writes checked bytes to a private file, and gives it its name. */
  write(place: Place, bytes: Uint8Array): void {
    const { executable, mtime } = place.kept;
    const temporary = this.#newName();
    const fd = openSync(temporary, 'wx', executable ? 0o777 : 0o666);
    try {
      try {
        for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
        if (mtime) futimesSync(fd, mtime, mtime);
      } finally {
        closeSync(fd);
      }
      this.#place(temporary, place);
    } finally {
      unlinkSync(temporary);
    }
  }

  /** Gives a partial file whose bytes are checked and synced each of its names; the first ones are copies. */
  async placePartial(partial: PartialFile, places: readonly Place[]): Promise<void> {
    for (const [index, place] of places.entries()) {
      if (index === places.length - 1) {
        keep(partial.fd, place.kept);
        this.#place(partial.path, place);
        return;
      }
      const copy = this.#newName();
      await promisify(copyFile)(partial.path, copy, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
      const fd = openSync(copy, 'r+');
      try {
        keep(fd, place.kept);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      try {
        this.#place(copy, place);
      } finally {
        unlinkSync(copy);
      }
    }
  }

  #newName(): string {
    this.#names += 1;
    return join(this.#folders.private, `${this.#own}-${this.#names}`);
  }

  #makeFolders(path: string): void {
    const folder = dirname(path);
    if (this.#real.has(folder)) return;
    this.#makeFolders(folder);
    const absolute = join(this.#folders.root, folder);
    try {
      mkdirSync(absolute);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    assertFolder(path, folder, lstatSync(absolute));
    this.#real.add(folder);
  }

  /** `link` fails when the name is taken, where `rename` would replace what is there. */
  #place(temporary: string, place: Place): void {
    const { path } = place;
    this.#makeFolders(path);
    const { root } = this.#folders;
    const target = join(root, path);
    for (const folder of ancestors(path)) assertFolder(path, folder, lstatSync(join(root, folder)));
    try {
      linkSync(temporary, target);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') this.#placeOverOther(temporary, place, target);
      else if (NO_LINK.has(code)) this.#placeWithoutLink(temporary, place, target);
      else throw error;
    }
  }

  /** Something took the name since it was looked at, or it is what a pull left that was cut off. */
  #placeOverOther(temporary: string, place: Place, target: string): void {
    const there = lstatSync(target);
    if (!mayReplace(place, there)) {
      if (there.isFile() && sameBytes(temporary, target)) return;
      throw differs(place.path, there.size);
    }
    // Through a name of its own, since `temporary` is the caller's to remove.
    const name = this.#newName();
    linkSync(temporary, name);
    renameSync(name, target);
  }

  /** A copy beside its place, whole and synced before it gets its name. */
  #placeWithoutLink(temporary: string, place: Place, target: string): void {
    const copy = join(dirname(target), `${this.#folders.prefix}${basename(temporary)}`);
    try {
      copyFileSync(temporary, copy, constants.COPYFILE_EXCL);
      const stats = lstatSync(temporary);
      const fd = openSync(copy, 'r+');
      try {
        fchmodSync(fd, stats.mode & 0o777);
        futimesSync(fd, stats.atime, stats.mtime);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      // Without links this is as near as it gets to not replacing what is there.
      const there = lstatSync(target, { throwIfNoEntry: false });
      if (there && !mayReplace(place, there)) throw differs(place.path, there.size);
      renameSync(copy, target);
    } finally {
      rmSync(copy, { force: true });
    }
  }
}

function mayReplace({ unfinished }: Place, there: Stats): boolean {
  return unfinished && there.isFile() && there.size === 0;
}

function keep(fd: number, { executable, mtime }: Kept): void {
  fchmodSync(fd, (executable ? 0o777 : 0o666) & ~process.umask());
  if (mtime) futimesSync(fd, mtime, mtime);
}

export function assertFolder(path: string, folder: string, stats: Stats): void {
  if (stats.isDirectory()) return;
  const what = stats.isSymbolicLink() ? 'a symlink' : 'no folder';
  throw refusal('file_refused', path, `is not written: ${JSON.stringify(folder)} is ${what} there`);
}

/** @param size of what is there */
export function differs(path: string, size: number): CliError {
  return refusal(
    'file_differs',
    path,
    `is there already, ${size === 0 ? 'empty' : 'with other bytes'}: it is not replaced`,
    size === 0
      ? 'If a power cut left it so, remove it; else pull into another directory.'
      : 'Pull into another directory, or move the file away.',
  );
}

export function refusal(
  code: 'invalid_path' | 'file_refused' | 'file_differs',
  path: string,
  why: string,
  next?: string,
): CliError {
  return new CliError(`${JSON.stringify(path)} ${why}.`, { exit: EXIT.refused, code, next, extras: { path } });
}

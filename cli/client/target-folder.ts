import {
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fsyncSync,
  futimesSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ancestors, pathProblem } from '../../src/core/logical-path.ts';
import { CliError, EXIT } from '../errors.ts';
import { PartialFile } from './partial-file.ts';
import { PrivateFolder, privatePrefix } from './private-folder.ts';
import { sameBytes } from './same-bytes.ts';

/** Where `link` cannot be used: another mount below the folder, or a file system without hard links. */
const NO_LINK = new Set(['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL']);

/** What a file has beside its bytes. */
export interface Kept {
  executable: boolean;
  mtime: Date | null;
}

/**
 * A directory that files are pulled into. Nothing is written outside it, not through a symlink in it either; nothing
 * that is there is ever replaced: a file appears under its name whole and checked, or not at all. Calls are synchronous:
 * ten thousand small files take a third of the time.
 */
export class TargetFolder {
  readonly #root: string;
  readonly #private: PrivateFolder;
  readonly #prefix: string;
  /** Folders seen to be real ones, relative to the root. */
  readonly #folders = new Set<string>(['']);
  /** Empty files that a pull left that was cut off. */
  readonly #unfinished = new Set<string>();

  private constructor(root: string, packageId: string) {
    this.#root = root;
    this.#prefix = privatePrefix(packageId);
    this.#private = PrivateFolder.open(root, packageId);
  }

  /** Makes the directory when it is not there. @param packageId whose unfinished pull is gone on with */
  static open(path: string, packageId: string): TargetFolder {
    mkdirSync(path, { recursive: true });
    return new TargetFolder(realpathSync.native(path), packageId);
  }

  /** Removes what is half written. @param keep but large files that the next pull can go on with */
  close({ keep }: { keep: boolean }): void {
    this.#private.close({ keep });
  }

  /**
   * The file under this path, if one is there. Files are not synced one by one, so a power cut may leave empty ones: those
   * of a pull that was cut off count as missing. @throws CliError when writing there would leave the directory
   */
  look(path: string, size: number): { absolute: string; size: number } | null {
    const problem = pathProblem(path);
    if (problem !== null) throw refusal('invalid_path', path, `${problem}: it is not written`);
    if (path.startsWith(this.#prefix)) throw refusal('file_refused', path, 'is a name that this pull needs itself');
    const stats = this.#inspect(path);
    if (stats === null) return null;
    if (stats.isSymbolicLink()) throw refusal('file_refused', path, 'is a symlink there: it is not written through');
    if (!stats.isFile()) throw refusal('file_differs', path, 'is no regular file there: it is not replaced');
    if (stats.size === 0 && size > 0 && this.#private.continued) {
      this.#unfinished.add(path);
      return null;
    }
    return { absolute: join(this.#root, path), size: stats.size };
  }

  #inspect(path: string): Stats | null {
    const segments = path.split('/');
    for (let depth = 1; depth <= segments.length; depth += 1) {
      const part = segments.slice(0, depth).join('/');
      const isLast = depth === segments.length;
      if (!isLast && this.#folders.has(part)) continue;
      const stats = lstatSync(join(this.#root, part), { throwIfNoEntry: false }) ?? null;
      if (stats === null || isLast) return stats;
      assertFolder(path, part, stats);
      this.#folders.add(part);
    }
    return null;
  }

  /** Writes checked bytes to a private file, and gives it its name. */
  write(path: string, bytes: Uint8Array, kept: Kept): void {
    const temporary = this.#private.newName();
    const fd = openSync(temporary, 'wx', kept.executable ? 0o777 : 0o666);
    try {
      try {
        for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
        if (kept.mtime) futimesSync(fd, kept.mtime, kept.mtime);
      } finally {
        closeSync(fd);
      }
      this.#place(temporary, path);
    } finally {
      unlinkSync(temporary);
    }
  }

  /** @param name the digest's hex */
  openPartial(name: string, size: number): PartialFile {
    return PartialFile.open(this.#private.path, name, size);
  }

  /** Gives a partial file whose bytes are checked and synced each of its names; the first ones are copies. */
  async placePartial(partial: PartialFile, places: ReadonlyArray<{ path: string; kept: Kept }>): Promise<void> {
    for (const [index, { path, kept }] of places.entries()) {
      if (index === places.length - 1) {
        keep(partial.fd, kept);
        this.#place(partial.path, path);
        return;
      }
      const copy = this.#private.newName();
      await copyFile(partial.path, copy, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
      const fd = openSync(copy, 'r+');
      try {
        keep(fd, kept);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      try {
        this.#place(copy, path);
      } finally {
        unlinkSync(copy);
      }
    }
  }

  #makeFolders(path: string): void {
    const folder = dirname(path);
    if (folder === '.' || this.#folders.has(folder)) return;
    this.#makeFolders(folder);
    const absolute = join(this.#root, folder);
    try {
      mkdirSync(absolute);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    assertFolder(path, folder, lstatSync(absolute));
    this.#folders.add(folder);
  }

  /** `link` fails when the name is taken, where `rename` would replace what is there. */
  #place(temporary: string, path: string): void {
    this.#makeFolders(path);
    const target = join(this.#root, path);
    for (const folder of ancestors(path)) assertFolder(path, folder, lstatSync(join(this.#root, folder)));
    try {
      linkSync(temporary, target);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') this.#placeOverOther(temporary, path, target);
      else if (NO_LINK.has(code)) this.#placeWithoutLink(temporary, path, target);
      else throw error;
    }
  }

  /** Something took the name since it was looked at, or it is what a pull left that was cut off. */
  #placeOverOther(temporary: string, path: string, target: string): void {
    if (!this.#mayReplace(path, target)) {
      if (lstatSync(target).isFile() && sameBytes(temporary, target)) return;
      throw differs(path, lstatSync(target).size);
    }
    // Through a name of its own, since `temporary` is the caller's to remove.
    const name = this.#private.newName();
    linkSync(temporary, name);
    renameSync(name, target);
  }

  #mayReplace(path: string, target: string): boolean {
    const there = lstatSync(target);
    return this.#unfinished.has(path) && there.isFile() && there.size === 0;
  }

  /** A copy beside its place, whole and synced before it gets its name. */
  #placeWithoutLink(temporary: string, path: string, target: string): void {
    const copy = join(dirname(target), `${this.#prefix}${basename(temporary)}`);
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
      if (there && !this.#mayReplace(path, target)) throw differs(path, there.size);
      renameSync(copy, target);
    } finally {
      rmSync(copy, { force: true });
    }
  }
}

function keep(fd: number, { executable, mtime }: Kept): void {
  fchmodSync(fd, (executable ? 0o777 : 0o666) & ~process.umask());
  if (mtime) futimesSync(fd, mtime, mtime);
}

function assertFolder(path: string, folder: string, stats: Stats): void {
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

function refusal(
  code: 'invalid_path' | 'file_refused' | 'file_differs',
  path: string,
  why: string,
  next?: string,
): CliError {
  return new CliError(`${JSON.stringify(path)} ${why}.`, { exit: EXIT.refused, code, next, extras: { path } });
}

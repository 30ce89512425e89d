import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { chmod, copyFile, link, lstat, mkdir, mkdtemp, open, realpath, rm, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathProblem } from '../../src/core/logical-path.ts';
import { CliError, EXIT } from '../errors.ts';

/** Where `link` cannot be used: another mount below the folder, or a file system without hard links. */
const NO_LINK = new Set(['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL']);

/**
 * A directory that files are pulled into. Nothing is written outside it, not through a symlink in it either; nothing
 * that is there is ever replaced: a file appears under its name whole and checked, or not at all.
 */
export class TargetFolder {
  readonly #root: string;
  readonly #temporary: string;
  /** Folders seen to be real ones, relative to the root. */
  readonly #folders = new Set<string>(['']);

  private constructor(root: string, temporary: string) {
    this.#root = root;
    this.#temporary = temporary;
  }

  /** Makes the directory when it is not there. */
  static async open(path: string): Promise<TargetFolder> {
    await mkdir(path, { recursive: true });
    const root = await realpath(path);
    return new TargetFolder(root, await mkdtemp(join(root, '.artifact-store-pull-')));
  }

  /** Removes what is half written. */
  async close(): Promise<void> {
    await rm(this.#temporary, { recursive: true, force: true });
  }

  /** The file under this path, if one is there. @throws CliError when writing there would leave the directory */
  async look(path: string): Promise<{ absolute: string; size: number } | null> {
    const problem = pathProblem(path);
    if (problem !== null) throw refusal('invalid_path', path, `${problem}: it is not written`);
    const stats = await this.#inspect(path);
    if (stats === null) return null;
    if (stats.isSymbolicLink()) throw refusal('file_refused', path, 'is a symlink there: it is not written through');
    if (!stats.isFile()) throw refusal('file_differs', path, 'is no regular file there: it is not replaced');
    return { absolute: join(this.#root, path), size: stats.size };
  }

  async #inspect(path: string): Promise<Stats | null> {
    const segments = path.split('/');
    for (let depth = 1; depth <= segments.length; depth += 1) {
      const part = segments.slice(0, depth).join('/');
      const isLast = depth === segments.length;
      if (!isLast && this.#folders.has(part)) continue;
      const stats = await lstat(join(this.#root, part)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      });
      if (stats === null || isLast) return stats;
      assertFolder(path, part, stats);
      this.#folders.add(part);
    }
    return null;
  }

  /** Writes the bytes to a private file; it gets its name only when `bytes` ended well. */
  async write(
    path: string,
    bytes: AsyncIterable<Uint8Array>,
    kept: { executable: boolean; mtime: Date | null },
  ): Promise<void> {
    const temporary = join(this.#temporary, randomBytes(12).toString('hex'));
    const handle = await open(temporary, 'wx', kept.executable ? 0o777 : 0o666);
    try {
      try {
        for await (const chunk of bytes) await handle.write(chunk);
      } finally {
        await handle.close();
      }
      if (kept.mtime) await utimes(temporary, kept.mtime, kept.mtime);
      await this.#makeFolders(path);
      await this.#place(temporary, path, kept.mtime);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async #makeFolders(path: string): Promise<void> {
    const segments = path.split('/').slice(0, -1);
    for (let depth = 1; depth <= segments.length; depth += 1) {
      const folder = segments.slice(0, depth).join('/');
      if (this.#folders.has(folder)) continue;
      const absolute = join(this.#root, folder);
      await mkdir(absolute).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      assertFolder(path, folder, await lstat(absolute));
      this.#folders.add(folder);
    }
  }

  /** `link` fails when the name is taken, where `rename` would replace what is there. */
  async #place(temporary: string, path: string, mtime: Date | null): Promise<void> {
    const target = join(this.#root, path);
    const real = await realpath(dirname(target));
    if (real !== dirname(target)) throw refusal('file_refused', path, 'would be written through a symlink');
    try {
      await link(temporary, target).catch(async (error: NodeJS.ErrnoException) => {
        if (!NO_LINK.has(error.code ?? '')) throw error;
        await copyFile(temporary, target, constants.COPYFILE_EXCL);
        await chmod(target, (await lstat(temporary)).mode & 0o777);
        if (mtime) await utimes(target, mtime, mtime);
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      throw differs(path);
    }
  }
}

function assertFolder(path: string, folder: string, stats: Stats): void {
  if (stats.isDirectory()) return;
  const what = stats.isSymbolicLink() ? 'a symlink' : 'no folder';
  throw refusal('file_refused', path, `is not written: ${JSON.stringify(folder)} is ${what} there`);
}

export function differs(path: string): CliError {
  return refusal(
    'file_differs',
    path,
    'is there already, with other bytes: it is not replaced',
    'Pull into another directory, or move the file away.',
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

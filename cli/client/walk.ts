import { isUtf8 } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { findConflict, type LogicalPath, pathProblem } from '../../src/core/logical-path.ts';
import { CliError, EXIT, usageError } from '../errors.ts';
import { type FoundFile, fileError, identityOf } from './local-file.ts';

export interface WalkOptions {
  /** `follow`: only to targets inside the directory. */
  symlinks: 'refuse' | 'skip' | 'follow';
  /** Sockets, fifos, devices. */
  special: 'refuse' | 'skip';
  signal: AbortSignal;
  /** Told of everything that is left out. */
  skipped?: (path: string, why: string) => void;
}

/** How many entries of a folder are looked at at once. */
const STATS_AT_ONCE = 64;

interface Entry {
  path: string;
  absolute: string;
  stats: BigIntStats;
}

/**
 * Every regular file below `root`, in the order of manifests (the paths' UTF-8 bytes). What a package cannot hold is an
 * error that names it, before anything is sent.
 * @throws CliError file_refused, file_unreadable, invalid_path, path_conflict; wrong_usage when root is no directory
 */
export async function walk(root: string, options: WalkOptions): Promise<FoundFile[]> {
  const top = await openRoot(root);
  const found: FoundFile[] = [];
  await new Walker(top.real, options, found).folder('', top.real, new Set([idOf(top.stats)]));
  assertNoConflict(found);
  return found;
}

async function openRoot(root: string): Promise<{ real: string; stats: BigIntStats }> {
  try {
    const real = await realpath(root);
    const stats = await stat(real, { bigint: true });
    if (stats.isDirectory()) return { real, stats };
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : (error as Error).message;
    throw usageError(`${JSON.stringify(root)} ${why}.`);
  }
  throw usageError(`${JSON.stringify(root)} is not a directory.`);
}

class Walker {
  readonly #root: string;
  readonly #options: WalkOptions;
  readonly #found: FoundFile[];

  constructor(root: string, options: WalkOptions, found: FoundFile[]) {
    this.#root = root;
    this.#options = options;
    this.#found = found;
  }

  /** @param above the folders that this one is in, to notice a loop of symlinks */
  async folder(path: string, absolute: string, above: ReadonlySet<string>): Promise<void> {
    this.#options.signal.throwIfAborted();
    const entries = await this.#entries(path, absolute);
    // A folder sorts as if its slash stood behind it: then the whole walk is in the order of paths.
    const keyed = entries.map((entry) => ({
      entry,
      key: Buffer.from(entry.stats.isDirectory() ? `${entry.path}/` : entry.path),
    }));
    keyed.sort((a, b) => Buffer.compare(a.key, b.key));
    for (const { entry } of keyed) {
      if (!entry.stats.isDirectory()) {
        this.#found.push(toFile(entry));
        continue;
      }
      const id = idOf(entry.stats);
      if (above.has(id)) throw refused(entry.path, 'is a symlink to a folder that it is in');
      await this.folder(entry.path, entry.absolute, new Set([...above, id]));
    }
  }

  async #entries(path: string, absolute: string): Promise<Entry[]> {
    let names: Buffer[];
    try {
      names = await readdir(absolute, { encoding: 'buffer' });
    } catch (error) {
      throw fileError(path === '' ? absolute : path, error);
    }
    const entries: Entry[] = [];
    for (let start = 0; start < names.length; start += STATS_AT_ONCE) {
      const looked = await Promise.all(
        names.slice(start, start + STATS_AT_ONCE).map((name) => this.#look(path, absolute, name)),
      );
      entries.push(...looked.filter((entry) => entry !== null));
    }
    return entries;
  }

  async #look(folder: string, absoluteFolder: string, rawName: Buffer): Promise<Entry | null> {
    const name = rawName.toString();
    const path = folder === '' ? name : `${folder}/${name}`;
    if (!isUtf8(rawName)) throw invalidPath(`${path} (bytes ${rawName.toString('hex')})`, 'is not valid UTF-8');
    const problem = pathProblem(path);
    if (problem !== null) throw invalidPath(path, problem);
    const absolute = join(absoluteFolder, name);
    const stats = await lstat(absolute, { bigint: true }).catch((error: unknown) => {
      throw fileError(path, error);
    });
    if (stats.isFile() || stats.isDirectory()) return { path, absolute, stats };
    return stats.isSymbolicLink() ? this.#symlink(path, absolute) : this.#special(path, stats);
  }

  async #symlink(path: string, absolute: string): Promise<Entry | null> {
    const { symlinks, skipped } = this.#options;
    if (symlinks === 'skip') {
      skipped?.(path, 'is a symlink');
      return null;
    }
    if (symlinks === 'refuse') {
      throw refused(
        path,
        'is a symlink',
        'Leave symlinks out with --symlinks skip, or follow them with --symlinks follow.',
      );
    }
    const target = await realpath(absolute).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') throw refused(path, 'is a symlink to nothing');
      if (error.code === 'ELOOP') throw refused(path, 'is a symlink in a loop');
      throw fileError(path, error);
    });
    if (target !== this.#root && !target.startsWith(this.#root + sep)) {
      throw refused(path, `is a symlink out of the directory (to ${JSON.stringify(target)})`);
    }
    const stats = await lstat(target, { bigint: true }).catch((error: unknown) => {
      throw fileError(path, error);
    });
    return stats.isFile() || stats.isDirectory() ? { path, absolute: target, stats } : this.#special(path, stats);
  }

  #special(path: string, stats: BigIntStats): null {
    const kind = stats.isSocket() ? 'a socket' : stats.isFIFO() ? 'a fifo' : 'a device';
    if (this.#options.special === 'refuse') {
      throw refused(path, `is ${kind}, not a regular file`, 'Leave such files out with --special skip.');
    }
    this.#options.skipped?.(path, `is ${kind}`);
    return null;
  }
}

function toFile({ path, absolute, stats }: Entry): FoundFile {
  return {
    path: path as LogicalPath,
    absolute,
    size: Number(stats.size),
    identity: identityOf(stats),
    mtime: timeOf(stats),
    executable: (stats.mode & 0o111n) !== 0n,
  };
}

/** RFC 3339 has four digits for the year; file systems hold more. */
function timeOf(stats: BigIntStats): string {
  const ms = Number(stats.mtimeNs / 1_000_000n);
  const most = Date.UTC(9999, 11, 31, 23, 59, 59);
  return new Date(Math.min(Math.max(ms, Date.UTC(0, 0, 1)), most)).toISOString();
}

function idOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}`;
}

/** The directory's content is at fault, not the command line: exit 1. */
function refused(path: string, why: string, next?: string): CliError {
  const options = { exit: EXIT.failed, code: 'file_refused', next, extras: { path } } as const;
  return new CliError(`${JSON.stringify(path)} ${why}: it is not pushed, so nothing is.`, options);
}

function invalidPath(path: string, why: string): CliError {
  return new CliError(`The name ${JSON.stringify(path)} ${why}: no package can hold it.`, {
    exit: EXIT.failed,
    code: 'invalid_path',
    next: 'Rename the file.',
    extras: { path },
  });
}

function assertNoConflict(files: readonly FoundFile[]): void {
  const conflict = findConflict(files.map(({ path }) => path));
  if (conflict === null) return;
  const { path, other } = conflict;
  throw new CliError(
    `${JSON.stringify(path)} and ${JSON.stringify(other)} are one name after Unicode normalization (NFC): no package can hold both.`,
    { exit: EXIT.failed, code: 'path_conflict', next: 'Rename one of them.', extras: { path, other_path: other } },
  );
}

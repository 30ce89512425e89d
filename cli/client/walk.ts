import { isUtf8 } from 'node:buffer';
import { type BigIntStats, lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { sep } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { comparePaths, findConflict, PATH_MAX_BYTES, pathProblem } from '../../src/core/logical-path.ts';
import { CliError, EXIT, usageError } from '../errors.ts';
import { FileList } from './file-list.ts';
import { fileChanged, fileError, identityOf, sameIdentity } from './local-file.ts';

export interface WalkOptions {
  /** `follow`: only to targets inside the directory. */
  symlinks: 'refuse' | 'skip' | 'follow';
  /** Sockets, fifos, devices. */
  special: 'refuse' | 'skip';
  signal: AbortSignal;
  /** Told of everything that is left out. */
  skipped?: ((path: string, why: string) => void) | undefined;
}

/** Looking is synchronous, which costs a third of what promises cost; between so many looks others get their turn. */
const LOOKS_A_TURN = 250;

interface Entry {
  path: string;
  absolute: string;
  stats: BigIntStats;
}

type Visit = (path: string, absolute: string, stats: BigIntStats) => void;

/**
 * Every regular file below `root`, in the order of manifests (the paths' UTF-8 bytes). What a package cannot hold is an
 * error that names it, before anything is sent.
 * @throws CliError file_refused, file_unreadable, invalid_path, path_conflict; wrong_usage when root is no directory
 */
export async function walk(root: string, options: WalkOptions): Promise<FileList> {
  const top = openRoot(root);
  const files = new FileList(top.real);
  const walker = new Walker(top.real, options, (path, absolute, stats) => files.add(path, absolute, stats));
  await walker.folder('', top.real, new Set([idOf(top.stats)]));
  if (walker.sawNormalizable) assertNoConflict(files);
  return files;
}

/**
 * Looks at the whole directory again: nothing changed, nothing vanished, nothing came. So every file has the bytes that
 * it had at one moment: any between the two looks. @throws CliError file_changed
 */
export async function assertSame(before: FileList, options: WalkOptions): Promise<void> {
  let next = 0;
  const compare: Visit = (path, _absolute, stats) => {
    const expected = next < before.length ? before.path(next) : null;
    if (expected === path) {
      if (!sameIdentity(identityOf(stats), before.identity(next))) throw fileChanged(path);
      next += 1;
      return;
    }
    if (expected !== null && comparePaths(expected, path) < 0) throw fileChanged(expected, 'vanished');
    throw fileChanged(path, 'appeared in the directory');
  };
  const top = openRoot(before.root);
  const walker = new Walker(top.real, { ...options, skipped: undefined }, compare);
  await walker.folder('', top.real, new Set([idOf(top.stats)]));
  if (next < before.length) throw fileChanged(before.path(next), 'vanished');
}

function openRoot(root: string): { real: string; stats: BigIntStats } {
  try {
    const real = realpathSync.native(root);
    const stats = statSync(real, { bigint: true });
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
  readonly #visit: Visit;
  #looks = 0;
  /** Unicode normalization changes nothing in ASCII: without other names no two can become one. */
  sawNormalizable = false;

  constructor(root: string, options: WalkOptions, visit: Visit) {
    this.#root = root;
    this.#options = options;
    this.#visit = visit;
  }

  /** @param above the folders that this one is in, to notice a loop of symlinks */
  async folder(path: string, absolute: string, above: ReadonlySet<string>): Promise<void> {
    this.#options.signal.throwIfAborted();
    // A folder sorts as if its slash stood behind it: then the whole walk is in the order of paths. `a` comes before
    // `a.txt` as a file and after it as a folder, so a folder waits until a name comes that is behind it.
    const waiting: Array<{ key: string; entry: Entry }> = [];
    for (const name of this.#names(path, absolute)) {
      while (waiting[0] !== undefined && waiting[0].key < name) await this.#enter(shift(waiting).entry, above);
      if (++this.#looks % LOOKS_A_TURN === 0) {
        await nextTurn();
        this.#options.signal.throwIfAborted();
      }
      const entry = this.#look(path, absolute, name);
      if (entry === null) continue;
      if (entry.stats.isDirectory()) {
        waiting.push({ key: `${name}/`, entry });
        waiting.sort((a, b) => (a.key < b.key ? -1 : 1));
      } else {
        this.#visit(entry.path, entry.absolute, entry.stats);
      }
    }
    for (const { entry } of waiting) await this.#enter(entry, above);
  }

  async #enter({ path, absolute, stats }: Entry, above: ReadonlySet<string>): Promise<void> {
    const id = idOf(stats);
    if (above.has(id)) throw refused(path, 'is a symlink to a folder that it is in');
    await this.folder(path, absolute, new Set([...above, id]));
  }

  /** A character for each byte, so that the order of strings is the order of bytes. */
  #names(path: string, absolute: string): string[] {
    try {
      return readdirSync(absolute, 'latin1').sort();
    } catch (error) {
      throw fileError(path === '' ? absolute : path, error);
    }
  }

  #look(folder: string, absoluteFolder: string, bytes: string): Entry | null {
    const name = this.#decode(folder, bytes);
    const path = folder === '' ? name : `${folder}/${name}`;
    // The folders above are checked already.
    const problem = pathProblem(path.length * 3 > PATH_MAX_BYTES ? path : name);
    if (problem !== null) throw invalidPath(path, problem);
    const absolute = `${absoluteFolder}/${name}`;
    const stats = statOf(path, absolute);
    if (stats.isFile() || stats.isDirectory()) return { path, absolute, stats };
    return stats.isSymbolicLink() ? this.#symlink(path, absolute) : this.#special(path, stats);
  }

  #decode(folder: string, bytes: string): string {
    if (!BEYOND_ASCII.test(bytes)) return bytes;
    this.sawNormalizable = true;
    const raw = Buffer.from(bytes, 'latin1');
    const name = raw.toString();
    if (isUtf8(raw)) return name;
    const path = folder === '' ? name : `${folder}/${name}`;
    throw invalidPath(`${path} (bytes ${raw.toString('hex')})`, 'is not valid UTF-8');
  }

  #symlink(path: string, absolute: string): Entry | null {
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
    const target = targetOf(path, absolute);
    if (target !== this.#root && !target.startsWith(this.#root + sep)) {
      throw refused(path, `is a symlink out of the directory (to ${JSON.stringify(target)})`);
    }
    const stats = statOf(path, target);
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

const BEYOND_ASCII = /[\u0080-\u00ff]/;

function shift<T>(items: T[]): T {
  return items.shift() as T;
}

function statOf(path: string, absolute: string): BigIntStats {
  try {
    return lstatSync(absolute, { bigint: true });
  } catch (error) {
    throw fileError(path, error);
  }
}

function targetOf(path: string, absolute: string): string {
  try {
    return realpathSync.native(absolute);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw refused(path, 'is a symlink to nothing');
    if (code === 'ELOOP') throw refused(path, 'is a symlink in a loop');
    throw fileError(path, error);
  }
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

function assertNoConflict(files: FileList): void {
  const conflict = findConflict(Array.from(files, ({ path }) => path));
  if (conflict === null) return;
  const { path, other } = conflict;
  throw new CliError(
    `${JSON.stringify(path)} and ${JSON.stringify(other)} are one name after Unicode normalization (NFC): no package can hold both.`,
    { exit: EXIT.failed, code: 'path_conflict', next: 'Rename one of them.', extras: { path, other_path: other } },
  );
}

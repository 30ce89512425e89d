import { isUtf8 } from 'node:buffer';
import { type BigIntStats, lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { sep } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { comparePaths, PATH_MAX_BYTES, pathProblem } from '../../../src/core/logical-path.ts';
import { usageError } from '../../errors.ts';
import type { Exclude } from './exclude.ts';
import { FileList } from './file-list.ts';
import type { LeftOutList } from './left-out.ts';
import { fileChanged, fileError } from './local-file.ts';
import { readability } from './readable.ts';
import { invalidName, refusedEntry, unreadableEntry, WalkProblems } from './walk-problems.ts';

export interface WalkOptions {
  /** `follow`: only to targets inside the directory. */
  symlinks: 'refuse' | 'skip' | 'follow';
  /** Sockets, fifos, devices. */
  special: 'refuse' | 'skip';
  exclude?: Exclude | null | undefined;
  signal: AbortSignal;
  /** Told of everything that is left out. */
  leftOut?: LeftOutList | undefined;
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
 * Every regular file below `root`, in the order of manifests (the paths' UTF-8 bytes). What a package cannot hold, and what
 * cannot be read, is an error that names all of it, before anything is sent.
 * @throws CliError file_refused, file_unreadable, invalid_path, path_conflict; wrong_usage when root is no directory
 */
export async function walk(root: string, options: WalkOptions): Promise<FileList> {
  const top = openRoot(root);
  const files = new FileList(top.real);
  const walker = new Walker(top.real, options, (path, absolute, stats) => files.add(path, absolute, stats));
  await walker.folder('', top.real, new Set([idOf(top.stats)]));
  if (walker.sawNormalizable) walker.problems.addConflicts(Array.from(files, ({ path }) => path));
  walker.problems.assertNone();
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
      if (!before.isStill(next, stats)) throw fileChanged(path);
      next += 1;
      return;
    }
    if (expected !== null && comparePaths(expected, path) < 0) throw fileChanged(expected, 'vanished');
    throw fileChanged(path, 'appeared in the directory');
  };
  const top = openRoot(before.root);
  const walker = new Walker(top.real, { ...options, leftOut: undefined }, compare);
  await walker.folder('', top.real, new Set([idOf(top.stats)]));
  walker.problems.assertNone();
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
  readonly #leavesOut: boolean;
  readonly #mayRead = readability();
  readonly problems = new WalkProblems();
  #looks = 0;
  /** Unicode normalization changes nothing in ASCII: without other names no two can become one. */
  sawNormalizable = false;

  constructor(root: string, options: WalkOptions, visit: Visit) {
    this.#root = root;
    this.#options = options;
    this.#visit = visit;
    this.#leavesOut = Boolean(options.exclude) || options.symlinks === 'skip' || options.special === 'skip';
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
    if (above.has(id)) this.#refuse(path, 'is a symlink to a folder that it is in', SKIP_SYMLINKS);
    else await this.folder(path, absolute, new Set([...above, id]));
  }

  /** A character for each byte, so that the order of strings is the order of bytes. */
  #names(path: string, absolute: string): string[] {
    try {
      return readdirSync(absolute, 'latin1').sort();
    } catch (error) {
      this.#unreadable(path === '' ? absolute : path, error);
      return [];
    }
  }

  #look(folder: string, absoluteFolder: string, bytes: string): Entry | null {
    const { name, raw } = this.#decode(bytes);
    const path = folder === '' ? name : `${folder}/${name}`;
    const absolute = `${absoluteFolder}/${name}`;
    const stats = this.#stat(path, raw === null ? absolute : Buffer.concat([Buffer.from(`${absoluteFolder}/`), raw]));
    if (stats === null || (this.#leavesOut && this.#isLeftOut(path, stats))) return null;
    // The folders above are checked already.
    const problem = pathProblem(path.length * 3 > PATH_MAX_BYTES ? path : name);
    if (raw !== null || problem !== null) {
      const why = raw === null ? problem : `is not valid UTF-8 (its bytes are ${raw.toString('hex')})`;
      this.problems.add(invalidName(path, why ?? ''));
      return null;
    }
    return stats.isSymbolicLink() ? this.#symlink(path, absolute) : this.#regular({ path, absolute, stats });
  }

  /** @returns the bytes too where they are no text */
  #decode(bytes: string): { name: string; raw: Buffer | null } {
    if (!BEYOND_ASCII.test(bytes)) return { name: bytes, raw: null };
    this.sawNormalizable = true;
    const raw = Buffer.from(bytes, 'latin1');
    return { name: raw.toString(), raw: isUtf8(raw) ? null : raw };
  }

  #stat(path: string, absolute: string | Buffer): BigIntStats | null {
    try {
      return lstatSync(absolute, { bigint: true });
    } catch (error) {
      this.#unreadable(path, error);
      return null;
    }
  }

  /** By its name, or for what it is: then nothing else of it matters. */
  #isLeftOut(path: string, stats: BigIntStats): boolean {
    const { exclude, leftOut, symlinks, special } = this.#options;
    const pattern = exclude?.match(path, stats.isDirectory()) ?? null;
    if (pattern !== null) {
      const shown = stats.isDirectory() ? `${path}/` : path;
      leftOut?.add(shown, 'excluded', `matches ${JSON.stringify(pattern)}`);
    } else if (symlinks === 'skip' && stats.isSymbolicLink()) leftOut?.add(path, 'symlink', 'is a symlink');
    else if (special === 'skip' && isSpecial(stats)) leftOut?.add(path, 'special', `is ${kindOf(stats)}`);
    else return false;
    return true;
  }

  #symlink(path: string, absolute: string): Entry | null {
    if (this.#options.symlinks === 'refuse') return this.#refuse(path, 'is a symlink', HOW_SYMLINKS);
    const target = this.#target(path, absolute);
    if (target === null) return null;
    if (target !== this.#root && !target.startsWith(this.#root + sep)) {
      return this.#refuse(path, `is a symlink out of the directory (to ${JSON.stringify(target)})`, SKIP_SYMLINKS);
    }
    const stats = this.#stat(path, target);
    if (stats === null) return null;
    if (isSpecial(stats) && this.#options.special === 'skip') {
      this.#options.leftOut?.add(path, 'special', `is a symlink to ${kindOf(stats)}`);
      return null;
    }
    return this.#regular({ path, absolute: target, stats });
  }

  #regular(entry: Entry): Entry | null {
    const { path, absolute, stats } = entry;
    if (stats.isDirectory()) return entry;
    if (!stats.isFile()) return this.#refuse(path, `is ${kindOf(stats)}, not a regular file`, HOW_SPECIAL);
    if (this.#mayRead(absolute, stats)) return entry;
    this.problems.add(unreadableEntry(path, `${JSON.stringify(path)} cannot be read: permission denied.`));
    return null;
  }

  #target(path: string, absolute: string): string | null {
    try {
      return realpathSync.native(absolute);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return this.#refuse(path, 'is a symlink to nothing', SKIP_SYMLINKS);
      if (code === 'ELOOP') return this.#refuse(path, 'is a symlink in a loop', SKIP_SYMLINKS);
      this.#unreadable(path, error);
      return null;
    }
  }

  #refuse(path: string, why: string, next: string): null {
    this.problems.add(refusedEntry(path, why, next));
    return null;
  }

  /** @throws CliError file_changed: what vanished while it was looked at is nothing to be mended */
  #unreadable(path: string, error: unknown): void {
    const problem = fileError(path, error);
    if (problem.code === 'file_changed') throw problem;
    this.problems.add(unreadableEntry(path, problem.message));
  }
}

const SKIP_SYMLINKS = 'Leave symlinks out with --symlinks skip.';
const HOW_SYMLINKS = 'Leave symlinks out with --symlinks skip, or follow them with --symlinks follow.';
const HOW_SPECIAL = 'Leave sockets, fifos and devices out with --special skip.';
const BEYOND_ASCII = /[\u0080-\u00ff]/;

function shift<T>(items: T[]): T {
  return items.shift() as T;
}

function idOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}`;
}

function isSpecial(stats: BigIntStats): boolean {
  return !stats.isFile() && !stats.isDirectory() && !stats.isSymbolicLink();
}

function kindOf(stats: BigIntStats): string {
  return stats.isSocket() ? 'a socket' : stats.isFIFO() ? 'a fifo' : 'a device';
}

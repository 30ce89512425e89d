import { matchesGlob } from 'node:path';
import { ancestors } from '../../../src/core/logical-path.ts';
import { isOneLine } from '../../../src/core/text-problem.ts';
import { usageError } from '../../errors.ts';
import { readListFile } from './list-file.ts';

/** In the root of a directory: a glob a line for what is left out; `#` begins a comment. */
export const IGNORE_FILE = '.artifact-store-ignore';

/** All patterns are kept in the package's metadata. */
const PATTERNS_MAX_BYTES = 32 * 1024;

/** What is left out of a directory, by the globs that `pull --path` takes. */
export class Exclude {
  /** As they were written. */
  readonly patterns: readonly string[];
  readonly #globs: ReadonlyArray<{ pattern: string; glob: string; foldersOnly: boolean }>;
  readonly #matched = new Set<string>();

  private constructor(patterns: readonly string[]) {
    this.patterns = patterns;
    this.#globs = patterns.map((pattern) => {
      const glob = pattern.replace(/\/$/, '');
      return { pattern, glob, foldersOnly: glob !== pattern };
    });
  }

  /** @returns null when there are no patterns @throws CliError wrong_usage for one that could never match */
  static of(patterns: readonly string[], where: (index: number) => string = () => '--exclude'): Exclude | null {
    for (const [index, pattern] of patterns.entries()) {
      const problem = patternProblem(pattern);
      if (problem !== null) throw usageError(`${where(index)}: the pattern ${JSON.stringify(pattern)} ${problem}.`);
    }
    const bytes = patterns.reduce((sum, pattern) => sum + Buffer.byteLength(pattern), 0);
    if (bytes > PATTERNS_MAX_BYTES) {
      throw usageError(
        `The patterns of what is left out have ${bytes} bytes, more than ${PATTERNS_MAX_BYTES}: use fewer.`,
      );
    }
    return patterns.length === 0 ? null : new Exclude(patterns);
  }

  /** The first pattern that matches this very path; null when none does. */
  match(path: string, isFolder: boolean): string | null {
    const found = this.#globs.find(({ glob, foldersOnly }) => (isFolder || !foldersOnly) && matchesGlob(path, glob));
    if (found !== undefined) this.#matched.add(found.pattern);
    return found?.pattern ?? null;
  }

  /** Whether it has matched something until now. */
  hasMatched(pattern: string): boolean {
    return this.#matched.has(pattern);
  }

  /** Whether a file's path, or a folder that it is in, is left out. */
  covers(path: string): boolean {
    return ancestors(path).some((folder) => this.match(folder, true) !== null) || this.match(path, false) !== null;
  }
}

/**
 * The patterns of the command line and of the directory's own ignore file, in this order.
 * @returns null when there are none
 * @throws CliError wrong_usage, file_unreadable, file_refused
 */
export function readExclude(directory: string, options: readonly string[]): Exclude | null {
  const lines = readIgnoreFile(directory);
  const patterns = [...options, ...lines.map(({ pattern }) => pattern)];
  return Exclude.of(patterns, (index) => {
    const line = lines[index - options.length];
    return line === undefined ? '--exclude' : `${IGNORE_FILE}, line ${line.number}`;
  });
}

/** Half a sentence: why a pattern would never match, or not what it seems to say. */
function patternProblem(pattern: string): string | null {
  if (!isOneLine(pattern)) return 'holds a control character: write ? for it';
  if (pattern.includes('\\')) return 'holds a backslash: write [*] for a plain *, and ? for a backslash';
  if (pattern.startsWith('!'))
    return 'begins with "!": what is left out cannot be taken back in (for a name that begins so write ?)';
  const segments = pattern.replace(/\/$/, '').split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    return 'is no relative path: patterns begin in the directory, like logs/**';
  }
  return null;
}

function readIgnoreFile(directory: string): Array<{ number: number; pattern: string }> {
  return readListFile(directory, IGNORE_FILE, 2 * PATTERNS_MAX_BYTES)
    .split('\n')
    .map((line, index) => ({ number: index + 1, pattern: line.trim() }))
    .filter(({ pattern }) => pattern !== '' && !pattern.startsWith('#'));
}

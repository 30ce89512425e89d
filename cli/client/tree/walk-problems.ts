import { conflicts, type LogicalPath } from '../../../src/core/logical-path.ts';
import { CliError, EXIT } from '../../errors.ts';
import { formatCount } from '../../format.ts';

/** Why something in a directory can be in no package, or cannot be read. */
export interface WalkProblem {
  path: string;
  code: 'invalid_path' | 'path_conflict' | 'file_refused' | 'file_unreadable';
  /** A sentence that names the path. */
  detail: string;
  next?: string;
  /** Of a conflict. */
  other_path?: string;
}

const SHOWN = 100;

/** Everything that is wrong with a directory, so that it can be mended in one go. */
export class WalkProblems {
  readonly #first: WalkProblem[] = [];
  #count = 0;

  add(problem: WalkProblem): void {
    this.#count += 1;
    if (this.#first.length < SHOWN) this.#first.push(problem);
  }

  /** Names that file systems which normalize would make one. */
  addConflicts(paths: readonly LogicalPath[]): void {
    for (const { path, other } of conflicts(paths)) {
      const both = `${JSON.stringify(path)} and ${JSON.stringify(other)}`;
      const detail = `${both} are the same name after Unicode normalization (NFC): no package can hold both.`;
      this.add({ path, other_path: other, code: 'path_conflict', detail, next: 'Rename one of them.' });
    }
  }

  /** @throws CliError that tells them all: the directory's content is at fault, not the command line */
  assertNone(): void {
    const [first] = this.#first;
    if (first === undefined) return;
    const codes = new Set(this.#first.map(({ code }) => code));
    const hints = new Set(this.#first.flatMap(({ next }) => next ?? []));
    throw new CliError(this.#message(first), {
      exit: EXIT.failed,
      code: codes.size === 1 ? first.code : 'file_refused',
      next: hints.size === 0 ? undefined : [...hints].join('\n'),
      extras: {
        path: first.path,
        ...(first.other_path === undefined ? {} : { other_path: first.other_path }),
        problem_count: this.#count,
        problems: this.#first.map(({ next: _, ...problem }) => problem),
      },
    });
  }

  #message(first: WalkProblem): string {
    if (this.#count === 1) return first.detail;
    const more = this.#count - this.#first.length;
    return [
      `${formatCount(this.#count)} things in the directory cannot be in a package:`,
      ...this.#first.map(({ detail }) => `  ${detail}`),
      ...(more === 0 ? [] : [`  and ${formatCount(more)} more`]),
    ].join('\n');
  }
}

export function invalidName(path: string, why: string): WalkProblem {
  const detail = `The name ${JSON.stringify(path)} ${why}: no package can hold it.`;
  return { path, code: 'invalid_path', detail, next: 'Rename it, or leave it out with --exclude.' };
}

/** @param why half a sentence */
export function refusedEntry(path: string, why: string, next: string): WalkProblem {
  return { path, code: 'file_refused', detail: `${JSON.stringify(path)} ${why}.`, next };
}

export function unreadableEntry(path: string, detail: string): WalkProblem {
  return { path, code: 'file_unreadable', detail };
}

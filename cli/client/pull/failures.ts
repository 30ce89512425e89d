import { digestFromHex } from '../../../src/core/digest.ts';
import { CliError, EXIT } from '../../errors.ts';
import { countOf } from '../../format.ts';
import { MEND } from '../mend.ts';

/** A file whose bytes are not what the package says. */
export interface Failure {
  path: string;
  /** A sentence that names the path. */
  detail: string;
}

/** Half a sentence; null when the bytes are right. @param hex of the bytes that arrived */
export function digestProblem(digest: string, hex: string): string | null {
  const actual = digestFromHex(hex);
  return actual === digest ? null : `has the digest ${actual}, not ${digest}.`;
}

export function problemOfSource(error: Error): string {
  return `cannot be read: ${error.message.replace(/\.$/, '')}.`;
}

export function failuresOf(files: ReadonlyArray<{ path: string }>, problem: string): Failure[] {
  return files.map(({ path }) => ({ path, detail: `${JSON.stringify(path)} ${problem}` }));
}

/** @param problem half a sentence, what is wrong with the path's file */
export function integrityFailure(path: string, problem: string): CliError {
  const options = { exit: EXIT.integrity, code: 'integrity_failure', extras: { path } } as const;
  return new CliError(`${JSON.stringify(path)} ${problem}`, options);
}

/** For several files: the message names the first, the JSON form has all. @param done what was done all the same */
export function integrityFailures(failures: readonly Failure[], done: Record<string, number>): CliError {
  const [first] = failures;
  const more = failures.length - 1;
  const others = more === 0 ? '' : ` ${countOf(more, 'more file')} ${more === 1 ? 'is' : 'are'} damaged, too.`;
  return new CliError(`${first?.detail}${others}`, {
    exit: EXIT.integrity,
    code: 'integrity_failure',
    next: `Every other file was written. \`artifact-store verify\` lists every damaged file in the store. ${MEND}`,
    extras: { path: first?.path, failures, ...done },
  });
}

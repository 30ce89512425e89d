import { basename, resolve } from 'node:path';
import type { JsonObject } from '../../../src/core/canonical-json.ts';
import { SECRETS_MEMBER } from '../../../src/core/secret-record.ts';
import { TEXT_MAX, textProblem } from '../../../src/core/text-problem.ts';
import { usageError } from '../../errors.ts';
import type { FileList } from '../tree/file-list.ts';
import { type FindOptions, findFiles } from '../tree/find-files.ts';
import { type LeftOut, withLeftOut } from '../tree/left-out.ts';
import { assertSame } from '../tree/walk.ts';

export interface PushLookOptions extends Partial<FindOptions> {
  directory: string;
  /** Default: the directory's own name. */
  name?: string | undefined;
  metadata?: JsonObject | undefined;
}

/** What would be pushed. */
export interface PushLook {
  name: string;
  files: FileList;
  leftOut: LeftOut | null;
  /** With the record of what is left out. */
  metadata: JsonObject | undefined;
  /** The files are still those that were found. @throws CliError file_changed */
  lookAgain(): Promise<void>;
  /** By which place an interrupted push is found again; default: the files' root. */
  remembered?: string | undefined;
}

/**
 * Everything that can be checked without the service; a dry run does only this.
 * @throws CliError for what cannot be pushed
 */
export async function lookForPush(
  options: PushLookOptions,
  how: { signal: AbortSignal; note?: ((text: string) => void) | undefined },
): Promise<PushLook> {
  const { directory, metadata, symlinks = 'refuse', special = 'refuse' } = options;
  const name = options.name ?? nameOf(directory);
  // Refused before a large directory is walked through.
  withLeftOut(metadata, null);
  assertNoSecretRecord(metadata);
  const { files, leftOut, walkOptions } = await findFiles(directory, { ...options, symlinks, special }, how);
  if (files.length === 0) {
    const which = leftOut === null ? 'no file' : 'only files that are left out';
    throw usageError(`${JSON.stringify(directory)} has ${which}: there is nothing to push.`);
  }
  return {
    name,
    files,
    leftOut,
    metadata: withLeftOut(metadata, leftOut),
    lookAgain: () => assertSame(files, walkOptions),
  };
}

/** @throws CliError wrong_usage when the metadata has a member of that name already */
function assertNoSecretRecord(metadata: JsonObject | undefined): void {
  if (metadata === undefined || !Object.hasOwn(metadata, SECRETS_MEMBER)) return;
  throw usageError(
    `The metadata has a member ${JSON.stringify(SECRETS_MEMBER)}: under that name it is recorded which secrets the files have.`,
    'Give the member another name.',
  );
}

/** @throws CliError wrong_usage when no package can be called as the directory is */
function nameOf(directory: string): string {
  const name = basename(resolve(directory));
  const problem = textProblem(name, TEXT_MAX.name);
  if (problem === null) return name;
  throw usageError(`The directory's name ${JSON.stringify(name)} ${problem}.`, 'Give the package a name with --name.');
}

import { link, lstat, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CliError, EXIT, usageError } from '../../errors.ts';
import { codeOf } from './errno.ts';

const FULL = new Set(['ENOSPC', 'EDQUOT']);
/** A file system without hard links. */
const NO_LINK = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/**
 * Makes a file in a folder of its own beside it, which only this user can enter and which is removed, whatever happens. The file
 * gets its name when it is whole and on the disk, and replaces none.
 * @param make writes the file under the name that it is given, and syncs it; what else it needs, too
 * @param roomNeeded a sentence, for whoever has too little
 * @throws CliError file_refused when the name is taken, wrong_usage when there is no such folder, no_space
 */
export async function makeWholeFile<T>(
  file: string,
  make: (folder: string, name: string) => Promise<T>,
  roomNeeded: string,
): Promise<T> {
  await assertFree(file);
  const folder = await newFolder(file);
  try {
    const made = await make(folder, WHOLE);
    await place(join(folder, WHOLE), file);
    return made;
  } catch (error) {
    throw isFull(error) ? noRoom(file, roomNeeded, error) : error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const WHOLE = 'whole';

/** @throws CliError file_refused when the name is taken, wrong_usage when there is no such folder */
export async function assertFree(file: string): Promise<void> {
  const there = await lstat(file).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw unusable(file, error);
  });
  if (there !== null) throw taken(file);
}

async function newFolder(file: string): Promise<string> {
  try {
    return await mkdtemp(join(dirname(file), '.artifact-store-whole-'));
  } catch (error) {
    throw isFull(error) ? error : unusable(file, error);
  }
}

/** `link` fails when the name is taken, where `rename` would replace what is there. @throws CliError file_refused */
export async function place(from: string, file: string): Promise<void> {
  try {
    await link(from, file);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw taken(file);
    if (!NO_LINK.has(codeOf(error))) throw error;
    await assertFree(file);
    await rename(from, file);
  }
  const above = await open(dirname(file), 'r');
  try {
    await above.sync();
  } finally {
    await above.close();
  }
}

function taken(file: string): CliError {
  return new CliError(`${JSON.stringify(file)} already exists: it is not replaced.`, {
    exit: EXIT.refused,
    code: 'file_refused',
    next: 'Give another name, or move the file away.',
    extras: { path: file },
  });
}

export function unusable(file: string, error: unknown): CliError {
  const folder = JSON.stringify(dirname(file));
  if (codeOf(error) === 'ENOENT') return usageError(`The folder ${folder} does not exist.`);
  return usageError(`${JSON.stringify(basename(file))} cannot be written in ${folder}: ${(error as Error).message}.`);
}

export function isFull(error: unknown): boolean {
  return FULL.has(codeOf(error)) || (error instanceof CliError && error.code === 'no_space');
}

export function noRoom(file: string, needed: string, cause: unknown): CliError {
  const message = cause instanceof CliError ? cause.message : `${JSON.stringify(dirname(file))} is full.`;
  const extras = cause instanceof CliError ? cause.extras : {};
  return new CliError(message, { exit: EXIT.failed, code: 'no_space', next: needed, extras, cause });
}

import type { BigIntStats } from 'node:fs';
import { CliError, EXIT } from '../../errors.ts';

/** Why a pull does not write a file: exit 4. @param why half a sentence about the path */
export function refusal(
  code: 'invalid_path' | 'file_refused' | 'file_differs',
  path: string,
  why: string,
  next?: string,
): CliError {
  return new CliError(`${JSON.stringify(path)} ${why}.`, { exit: EXIT.refused, code, next, extras: { path } });
}

/** @param stats of what is there in place of the folder; null when that is gone again */
export function notAFolder(path: string, folder: string, stats: BigIntStats | null): CliError {
  const what = stats?.isSymbolicLink() ? 'a symlink' : 'not a folder';
  return refusal('file_refused', path, `is not written: ${JSON.stringify(folder)} is ${what} there`);
}

/**
 * @param size of what is there
 * @param cutOff a pull of the same package into this directory was cut off before
 */
export function differs(path: string, size: number, cutOff = false): CliError {
  const mayBeTorn = size === 0 || cutOff;
  return refusal(
    'file_differs',
    path,
    `already exists, ${size === 0 ? 'empty' : 'with different bytes'}: it is not replaced`,
    mayBeTorn
      ? 'If a power cut left it like this, remove it; otherwise pull into another directory.'
      : 'Pull into another directory, or move the file away.',
  );
}

/** A folder has its path no more, or another one has it. */
export function moved(folder: string): CliError {
  return refusal(
    'file_refused',
    folder,
    'was moved away or replaced while files were pulled into it',
    'Nothing was written through a symlink. Find out who else changes that directory, then pull again.',
  );
}

import { isUtf8 } from 'node:buffer';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { usageError } from '../../errors.ts';
import { fileError, OPEN_FLAGS } from './local-file.ts';

/**
 * The text of a file in the root of a directory that says something about the directory; empty when there is none.
 * @param most bytes that it may have
 * @throws CliError wrong_usage, file_unreadable, file_changed
 */
export function readListFile(directory: string, name: string, most: number): string {
  let fd: number;
  try {
    fd = openSync(join(directory, name), OPEN_FLAGS);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return '';
    if (code === 'ELOOP') throw usageError(`${name} is a symlink: it must be a file of the directory.`);
    throw fileError(name, error);
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw usageError(`${name} is not a regular file.`);
    if (stats.size > most) throw usageError(`${name} has ${stats.size} bytes, more than ${most}: use fewer lines.`);
    const bytes = readFileSync(fd);
    if (!isUtf8(bytes)) throw usageError(`${name} is not valid UTF-8.`);
    return bytes.toString().replace(/^\ufeff/, '');
  } finally {
    closeSync(fd);
  }
}

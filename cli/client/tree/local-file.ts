import { type BigIntStats, constants } from 'node:fs';
import { lstat } from 'node:fs/promises';
import type { LogicalPath } from '../../../src/core/logical-path.ts';
import { CliError, EXIT } from '../../errors.ts';

/** What tells that a file is still the one that was found, byte for byte (as far as a file system can tell). */
export interface FileIdentity {
  size: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
  ino: bigint;
  dev: bigint;
}

/** A regular file of a directory that is pushed. */
export interface FoundFile {
  path: LogicalPath;
  /** Without symlinks, so that it can be opened with O_NOFOLLOW. */
  absolute: string;
  size: number;
  identity: FileIdentity;
}

/** A symlink that took the file's place, or a fifo that would block for ever, is not opened. */
export const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export function identityOf(stats: BigIntStats): FileIdentity {
  const { size, mtimeNs, ctimeNs, ino, dev } = stats;
  return { size, mtimeNs, ctimeNs, ino, dev };
}

export function sameIdentity(a: FileIdentity, b: FileIdentity): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.ino === b.ino && a.dev === b.dev;
}

export function fileChanged(path: string, how = 'changed'): CliError {
  return new CliError(`${JSON.stringify(path)} ${how} while it was read.`, {
    exit: EXIT.failed,
    code: 'file_changed',
    next: 'Run the command again when nothing writes to the directory.',
    extras: { path },
  });
}

/** What a failed file operation means for whoever pushes the file. */
export function fileError(path: string, error: unknown): CliError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return fileChanged(path, 'vanished');
  if (code === 'ELOOP') return fileChanged(path, 'became a symlink');
  const why = code === 'EACCES' || code === 'EPERM' ? 'permission denied' : message;
  return new CliError(`${JSON.stringify(path)} cannot be read: ${why}.`, {
    exit: EXIT.failed,
    code: 'file_unreadable',
    extras: { path },
    cause: error,
  });
}

/** @throws CliError file_changed, file_unreadable */
export async function assertUnchanged(file: FoundFile): Promise<void> {
  let stats: BigIntStats;
  try {
    stats = await lstat(file.absolute, { bigint: true });
  } catch (error) {
    throw fileError(file.path, error);
  }
  if (!sameIdentity(identityOf(stats), file.identity)) throw fileChanged(file.path);
}

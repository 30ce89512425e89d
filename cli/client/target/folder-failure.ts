import { getSystemErrorMessage } from 'node:util';
import { CliError, EXIT } from '../../errors.ts';
import { formatBytes } from '../../format.ts';
import type { FreeSpace } from './free-space.ts';

/** What was to be done with it. */
type Wanted = 'read' | 'written';

/** The file system refused to do something with a file of the package. */
export class FileFailure extends Error {
  override readonly name = 'FileFailure';
  readonly path: string;
  readonly wanted: Wanted;
  override readonly cause: NodeJS.ErrnoException;

  constructor(path: string, cause: NodeJS.ErrnoException, wanted: Wanted) {
    super(cause.message);
    this.path = path;
    this.wanted = wanted;
    this.cause = cause;
  }
}

/** Does something with a file of the package. @throws FileFailure for an error of the system, others as they are */
export function withFile<T>(path: string, work: () => T, wanted: Wanted = 'written'): T {
  try {
    return work();
  } catch (error) {
    throw fileFailure(path, error, wanted);
  }
}

export function fileFailure(path: string, error: unknown, wanted: Wanted = 'written'): unknown {
  return isSystemError(error) ? new FileFailure(path, error, wanted) : error;
}

/** How far a pull has come. */
export interface Progress {
  /** As it was named. */
  directory: string;
  /** Bytes of all files that it writes, and of those that have arrived; null: not known yet. */
  total: number | null;
  done: number;
  /** Null: the system does not tell. */
  free: FreeSpace | null;
}

const FULL = new Map([
  ['ENOSPC', 'is full'],
  ['EDQUOT', 'is full: your quota there is used up'],
]);

const NEXT = new Map([
  ['EFBIG', 'Pull into a directory on another file system, or raise the limit (`ulimit -f` shows it).'],
  ['EROFS', 'Pull into a directory that can be written.'],
  ['EACCES', 'Pull into a directory that you may write, or ask its owner.'],
  ['EPERM', 'Pull into a directory that you may write, or ask its owner.'],
]);

/** Turns an error of the file system into words for a person; any other error stays as it is. */
export function folderFailure(thrown: unknown, progress: Progress): unknown {
  const cause = thrown instanceof FileFailure ? thrown.cause : thrown;
  if (!isSystemError(cause)) return thrown;
  const { code = '' } = cause;
  if (FULL.has(code)) return noSpace(FULL.get(code) as string, progress, cause);
  const { directory } = progress;
  const file = thrown instanceof FileFailure ? thrown : null;
  const what =
    file === null ? JSON.stringify(directory) : `${JSON.stringify(file.path)} in ${JSON.stringify(directory)}`;
  return new CliError(`${what} cannot be ${file?.wanted ?? 'written'}: ${reasonOf(cause)} (${code}).`, {
    exit: EXIT.failed,
    code: 'failed',
    next: file?.wanted === 'read' ? undefined : NEXT.get(code),
    extras: { directory, ...(file === null ? {} : { path: file.path }) },
    cause,
  });
}

const NO_FILES = ', but no more files can be created (inodes)';

/** @param how half a sentence about the directory */
export function noSpace(how: string, { directory, total, done, free }: Progress, cause?: unknown): CliError {
  const left = total === null ? null : Math.max(0, total - done);
  const needed = left === null ? '' : `; ${formatBytes(left)} of ${formatBytes(total ?? 0)} are still to be written`;
  const has = free === null ? '' : `, and ${formatBytes(free.bytes)} are free${free.noFiles ? NO_FILES : ''}`;
  return new CliError(`${JSON.stringify(directory)} ${how}${needed}${has}.`, {
    exit: EXIT.failed,
    code: 'no_space',
    next: 'Free some space there and run the same command again: it keeps what is written and continues.',
    extras: { directory, needed: total, left, free: free?.bytes ?? null },
    cause,
  });
}

/** Of the file system, and not of a socket: it names a path, or can be of nothing else. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  if (!(error instanceof Error)) return false;
  const { errno, path, code = '' } = error as NodeJS.ErrnoException;
  return typeof errno === 'number' && (path !== undefined || FULL.has(code) || NEXT.has(code) || code === 'EIO');
}

/** Without the path that it was reached by. */
function reasonOf({ errno }: NodeJS.ErrnoException): string {
  return getSystemErrorMessage(errno as number) ?? 'an error of the system';
}

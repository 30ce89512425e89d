import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type FileIdentity, identityOf, OPEN_FLAGS, sameIdentity } from './local-file.ts';

/** A file as it was found; plain values, so that it can be sent to a thread. */
export interface ReadJob {
  absolute: string;
  identity: FileIdentity;
}

/** Why a file could not be read, in a form that crosses threads. */
export type ReadFailure = { ok: false; changed: true } | { ok: false; changed: false; code?: string; message: string };

/**
 * Opens the file that was found, has it read, and looks at it before and after: bytes that moved meanwhile are no result.
 * @param read gives null when bytes are missing
 */
export function readUnchanged<T>(job: ReadJob, read: (fd: number) => T | null): T | ReadFailure {
  const fd = openFound(job);
  if (typeof fd !== 'number') return fd;
  try {
    return ifStill(fd, job, read(fd));
  } catch (error) {
    return failure(error);
  } finally {
    closeSync(fd);
  }
}

/** The same, for one who takes turns with others. */
export async function readUnchangedLater<T>(
  job: ReadJob,
  read: (fd: number) => Promise<T | null>,
): Promise<T | ReadFailure> {
  const fd = openFound(job);
  if (typeof fd !== 'number') return fd;
  try {
    return ifStill(fd, job, await read(fd));
  } catch (error) {
    // What else goes wrong says nothing of the file.
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    return failure(error);
  } finally {
    closeSync(fd);
  }
}

/** @param from null: on from where the file stands @returns false when the file ends before */
export function readFull(fd: number, buffer: Buffer, at: number, size: number, from: number | null = null): boolean {
  for (let got = 0; got < size; ) {
    const count = readSync(fd, buffer, at + got, size - got, from === null ? null : from + got);
    if (count === 0) return false;
    got += count;
  }
  return true;
}

const CHANGED: ReadFailure = { ok: false, changed: true };

function openFound({ absolute, identity }: ReadJob): number | ReadFailure {
  let fd: number | null = null;
  try {
    fd = openSync(absolute, OPEN_FLAGS);
    if (isStill(fd, identity)) return fd;
    closeSync(fd);
    return CHANGED;
  } catch (error) {
    if (fd !== null) closeSync(fd);
    return failure(error);
  }
}

function ifStill<T>(fd: number, { identity }: ReadJob, result: T | null): T | ReadFailure {
  return result !== null && isStill(fd, identity) ? result : CHANGED;
}

function isStill(fd: number, identity: FileIdentity): boolean {
  return sameIdentity(identityOf(fstatSync(fd, { bigint: true })), identity);
}

function failure(error: unknown): ReadFailure {
  const { code, message } = error as NodeJS.ErrnoException;
  return { ok: false, changed: false, message, ...(code === undefined ? {} : { code }) };
}

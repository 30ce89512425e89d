import { createHash, hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type FileIdentity, identityOf, OPEN_FLAGS, sameIdentity } from './local-file.ts';

/** One file to hash; plain values, so that it can be sent to a worker thread. */
export interface HashJob {
  absolute: string;
  identity: FileIdentity;
  /** Digests of parts of this size are wanted too; equal to the file's size or more: none. */
  partSize: number;
}

export interface HashResult {
  /** Hex. */
  sha256: string;
  /** Only when the file has more than one part. */
  parts: Array<{ sha256: string; size: number }> | null;
}

/** What went wrong, in a form that crosses threads. */
export type HashOutcome =
  | { ok: true; result: HashResult }
  | { ok: false; changed: true }
  | { ok: false; changed: false; code: string | undefined; message: string };

const BUFFER = 1024 ** 2;

/**
 * Reads the file once and hashes it, and its parts in the same pass. Synchronous: it runs in worker threads, or for a
 * few small files in the main one. The file is looked at before and after: bytes that moved meanwhile are no result.
 */
export function hashFile(job: HashJob, buffer: Buffer, count: (bytes: number) => void): HashOutcome {
  let fd: number;
  try {
    fd = openSync(job.absolute, OPEN_FLAGS);
  } catch (error) {
    return failure(error);
  }
  try {
    if (!unchanged(fd, job)) return { ok: false, changed: true };
    const size = Number(job.identity.size);
    const result =
      size <= buffer.length && size <= job.partSize
        ? hashSmall(fd, job, buffer, count)
        : hashLarge(fd, job, buffer, count);
    return result !== null && unchanged(fd, job) ? { ok: true, result } : { ok: false, changed: true };
  } catch (error) {
    return failure(error);
  } finally {
    closeSync(fd);
  }
}

export function hashBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(BUFFER);
}

function hashSmall(fd: number, job: HashJob, buffer: Buffer, count: (bytes: number) => void): HashResult | null {
  const size = Number(job.identity.size);
  if (readFull(fd, buffer, size) !== size) return null;
  count(size);
  return { sha256: hash('sha256', buffer.subarray(0, size), 'hex'), parts: null };
}

function hashLarge(fd: number, job: HashJob, buffer: Buffer, count: (bytes: number) => void): HashResult | null {
  const size = Number(job.identity.size);
  const whole = createHash('sha256');
  const parts: Array<{ sha256: string; size: number }> = [];
  for (let done = 0; done < size; ) {
    const partSize = Math.min(job.partSize, size - done);
    const part = partSize === size ? null : createHash('sha256');
    for (let left = partSize; left > 0; ) {
      const wanted = Math.min(left, buffer.length);
      if (readFull(fd, buffer, wanted) !== wanted) return null;
      const piece = buffer.subarray(0, wanted);
      whole.update(piece);
      part?.update(piece);
      left -= wanted;
      count(wanted);
    }
    done += partSize;
    if (part) parts.push({ sha256: part.digest('hex'), size: partSize });
  }
  return { sha256: whole.digest('hex'), parts: parts.length === 0 ? null : parts };
}

function readFull(fd: number, buffer: Buffer, size: number): number {
  let got = 0;
  while (got < size) {
    const count = readSync(fd, buffer, got, size - got, null);
    if (count === 0) break;
    got += count;
  }
  return got;
}

function unchanged(fd: number, job: HashJob): boolean {
  return sameIdentity(identityOf(fstatSync(fd, { bigint: true })), job.identity);
}

function failure(error: unknown): HashOutcome {
  const { code, message } = error as NodeJS.ErrnoException;
  return { ok: false, changed: false, code, message };
}

import { createHash } from 'node:crypto';
import { type Digest, digestFromBytes, digestOf } from '../../src/core/digest.ts';
import type { FilePart } from './file-list.ts';
import { type ReadFailure, type ReadJob, readFull, readUnchanged } from './read-whole.ts';

/** One file to hash. */
export interface HashJob extends ReadJob {
  /** Digests of parts of this size are wanted too; equal to the file's size or more: none. */
  partSize: number;
}

export type HashOutcome =
  | {
      ok: true;
      digest: Digest;
      /** Only when the file has more than one part. */
      parts: FilePart[] | null;
    }
  | ReadFailure;

const BUFFER = 1024 ** 2;

export function hashBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(BUFFER);
}

/** Reads the file once and hashes it, and its parts in the same pass. Synchronous: for threads, or for a few small files. */
export function hashFile(job: HashJob, buffer: Buffer, count: (bytes: number) => void): HashOutcome {
  const size = Number(job.identity.size);
  const small = size <= buffer.length && size <= job.partSize;
  return readUnchanged<HashOutcome>(job, (fd) => {
    if (!small) return hashLarge(fd, job, buffer, count);
    if (!readFull(fd, buffer, 0, size)) return null;
    count(size);
    return { ok: true, digest: digestOf(buffer.subarray(0, size)), parts: null };
  });
}

function hashLarge(fd: number, job: HashJob, buffer: Buffer, count: (bytes: number) => void): HashOutcome | null {
  const size = Number(job.identity.size);
  const whole = createHash('sha256');
  const parts: FilePart[] = [];
  for (let done = 0; done < size; ) {
    const partSize = Math.min(job.partSize, size - done);
    const part = partSize === size ? null : createHash('sha256');
    for (let left = partSize; left > 0; ) {
      const wanted = Math.min(left, buffer.length);
      if (!readFull(fd, buffer, 0, wanted)) return null;
      const piece = buffer.subarray(0, wanted);
      whole.update(piece);
      part?.update(piece);
      left -= wanted;
      count(wanted);
    }
    done += partSize;
    if (part) parts.push({ digest: digestFromBytes(part.digest()), size: partSize });
  }
  return { ok: true, digest: digestFromBytes(whole.digest()), parts: parts.length === 0 ? null : parts };
}

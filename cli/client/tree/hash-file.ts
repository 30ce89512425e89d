import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { type Digest, digestFromBytes, digestOf } from '../../../src/core/digest.ts';
import type { StoredForm } from '../../../src/core/frame-table.ts';
import { FrameWriter, isWorth, seemsCompressible } from '../../../src/core/frame-writer.ts';
import { type PartCutter, partCutter } from '../../../src/core/part-cutter.ts';
import { compressFrame, FRAMES_MAX } from '../../../src/core/zstd-frame.ts';
import type { FoundSecret } from '../secrets/find-secrets.ts';
import type { Suspicion } from '../secrets/suspicion.ts';
import type { FilePart } from './file-list.ts';
import { type ReadFailure, type ReadJob, readFull, readUnchanged } from './read-whole.ts';

/** One file to hash. */
export interface HashJob extends ReadJob {
  /** Digests of parts of this size are wanted too; equal to the file's size or more: none. */
  partSize: number;
  /** Null: it is stored as it is. */
  compress: CompressJob | null;
  /** Whether it is looked through for secrets. */
  scan: boolean;
}

/** How a file is compressed, should it seem worth it. Sizes are stored bytes. */
export interface CompressJob {
  level: number;
  /** So many are one part. */
  singlePartMax: number;
  /** More are cut into parts of this size. */
  partSize: number;
  /** So many are kept at most, to be sent: else they are made again. Decided when a reader takes the job. */
  keepMax: number;
}

/** A file's stored form. */
export interface StoredFile extends StoredForm {
  /** Only when it has more than one part. */
  parts: FilePart[] | null;
  /** The stored bytes; null: too many to be kept. */
  bytes: Uint8Array<ArrayBuffer> | null;
}

export type HashOutcome =
  | {
      ok: true;
      digest: Digest;
      /** Of the file as it is; only when it has more than one. */
      parts: FilePart[] | null;
      /** Null: it is stored as it is. */
      stored: StoredFile | null;
      /** Null: it was not looked through. */
      secrets: FoundSecret[] | null;
    }
  | ReadFailure;

/** Content of one frame of a file that is compressed by itself. */
export const FILE_FRAME_SIZE = 1024 ** 2;

export function hashBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(FILE_FRAME_SIZE);
}

/**
 * Reads the file once, hashes it, and compresses it or hashes its parts in the same pass. Synchronous: for threads, or for a
 * few small files. @param suspicion shown every byte; its spans are to be looked through by whoever asks
 */
export function hashFile(
  job: HashJob,
  buffer: Buffer,
  count: (bytes: number) => void,
  suspicion: Suspicion | null = null,
): HashOutcome {
  const size = Number(job.identity.size);
  const small = size <= buffer.length && size <= job.partSize;
  let worthless = false;
  const outcome = readUnchanged<HashOutcome>(job, (fd) => {
    const compress = compressorFor(fd, size, buffer, job.compress);
    const seen = (piece: Buffer): void => {
      suspicion?.take(piece);
      count(piece.length);
    };
    if (compress === null) return small ? hashSmall(fd, size, buffer, seen) : hashAsIs(fd, job, buffer, seen);
    const hashed = hashCompressed(fd, size, buffer, compress, seen);
    worthless = hashed !== null && hashed.stored === null;
    return hashed;
  });
  // Samples are not all of it. Its bytes have been counted.
  return worthless ? hashFile({ ...job, compress: null }, buffer, () => {}) : outcome;
}

function hashSmall(fd: number, size: number, buffer: Buffer, seen: (piece: Buffer) => void): HashOutcome | null {
  if (!readFull(fd, buffer, 0, size)) return null;
  const content = buffer.subarray(0, size);
  seen(content);
  return { ok: true, digest: digestOf(content), parts: null, stored: null, secrets: null };
}

function hashAsIs(
  fd: number,
  { identity, partSize }: HashJob,
  buffer: Buffer,
  seen: (piece: Buffer) => void,
): HashOutcome | null {
  const size = Number(identity.size);
  const whole = createHash('sha256');
  const cutter = partSize < size ? partCutter(partSize) : null;
  const complete = readPieces(fd, size, buffer, (piece) => {
    whole.update(piece);
    cutter?.update(piece);
    seen(piece);
  });
  if (!complete) return null;
  const parts = cutter === null ? null : filePartsOf(cutter);
  return { ok: true, digest: digestFromBytes(whole.digest()), parts, stored: null, secrets: null };
}

function hashCompressed(
  fd: number,
  size: number,
  buffer: Buffer,
  compress: FileCompressor,
  seen: (piece: Buffer) => void,
): Extract<HashOutcome, { ok: true }> | null {
  const whole = createHash('sha256');
  const complete = readPieces(fd, size, buffer, (piece) => {
    whole.update(piece);
    compress.add(piece);
    seen(piece);
  });
  if (!complete) return null;
  return { ok: true, digest: digestFromBytes(whole.digest()), parts: null, stored: compress.end(size), secrets: null };
}

/** @returns false when the file ends before */
function readPieces(fd: number, size: number, buffer: Buffer, take: (piece: Buffer) => void): boolean {
  for (let done = 0; done < size; ) {
    const wanted = Math.min(size - done, buffer.length);
    if (!readFull(fd, buffer, 0, wanted)) return false;
    take(buffer.subarray(0, wanted));
    done += wanted;
  }
  return true;
}

/** Some frames of a file that was compressed before, to be made again. */
export interface FramesJob extends ReadJob {
  level: number;
  /** Where the content of the first one begins, and the content's size of each. */
  offset: number;
  sizes: readonly number[];
}

export type FramesOutcome = { ok: true; bytes: Uint8Array<ArrayBuffer> } | ReadFailure;

/** The same content at the same level gives the same frames in one process. @param buffer holds the content of one */
export function makeFrames({ level, offset, sizes, ...job }: FramesJob, buffer: Buffer): FramesOutcome {
  return readUnchanged<FramesOutcome>(job, (fd) => {
    const frames: Buffer[] = [];
    let at = offset;
    for (const size of sizes) {
      if (!readFull(fd, buffer, 0, size, at)) return null;
      frames.push(compressFrame(buffer.subarray(0, size), level));
      at += size;
    }
    return { ok: true, bytes: new Uint8Array(Buffer.concat(frames)) };
  });
}

/** Looks at samples of a file whose digest is known. A file that cannot be read is told by whoever reads all of it. */
export function fileSeemsCompressible(
  { absolute, identity, size }: ReadJob & { size: number },
  level: number,
): boolean {
  const buffer = hashBuffer();
  return readUnchanged({ absolute, identity }, (fd) => fileSeems(fd, size, buffer, level)) === true;
}

interface FileCompressor {
  add(content: Buffer): void;
  /** @returns null: it is not worth it */
  end(size: number): StoredFile | null;
}

function compressorFor(fd: number, size: number, buffer: Buffer, job: CompressJob | null): FileCompressor | null {
  return job !== null && fileSeems(fd, size, buffer, job.level) ? fileCompressor(job) : null;
}

function fileSeems(fd: number, size: number, buffer: Buffer, level: number): boolean {
  if (size > FRAMES_MAX * FILE_FRAME_SIZE) return false;
  const sample = (offset: number, length: number): Buffer | null =>
    readSync(fd, buffer, 0, length, offset) === length ? buffer.subarray(0, length) : null;
  return seemsCompressible(size, level, sample);
}

function fileCompressor({ level, singlePartMax, partSize, keepMax }: CompressJob): FileCompressor {
  const cutter = partCutter(partSize);
  let kept: Buffer[] | null = [];
  let keptSize = 0;
  const writer = new FrameWriter(level, (stored) => {
    cutter.update(stored);
    keptSize += stored.length;
    if (keptSize > keepMax) kept = null;
    kept?.push(stored);
  });
  return {
    add: (content) => writer.add(content),
    end(size) {
      const form = writer.end();
      if (!isWorth(form, size)) return null;
      const parts = filePartsOf(cutter);
      const bytes = kept === null ? null : new Uint8Array(Buffer.concat(kept));
      return { ...form, parts: form.size <= singlePartMax ? null : parts, bytes };
    },
  };
}

function filePartsOf(cutter: PartCutter): FilePart[] {
  return cutter.end().map(({ digest, size }) => ({ digest, size }));
}

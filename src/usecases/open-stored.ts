import { once } from 'node:events';
import { Readable } from 'node:stream';
import type { ByteRange, ObjectRef } from '../blobs/blob-store.ts';
import { type CheckRules, holdBack } from '../blobs/hold-back.ts';
import type { ObjectKey } from '../blobs/key-layout.ts';
import { type Digest, digestOf } from '../core/digest.ts';
import { isStoreError, StoreError } from '../core/errors.ts';
import { FrameDecoder } from '../core/frame-decoder.ts';
import type { FrameTable } from '../core/frame-table.ts';
import { FrameError } from '../core/zstd-frame.ts';
import { reportDamage, type Subject } from './report-damage.ts';
import type { Caller, Services, WithReader } from './services.ts';

/** Content up to this size is read and checked before any of it is given out. */
const CHECKED_BEFORE_MAX = 1024 ** 2;

/** Content that the registry says is stored, and who asks for it. */
export interface Stored {
  key: string;
  versionId: string | null;
  /** Where it lies in its object's content; null: it is all of it. */
  place: ByteRange | null;
  /** Of an object that is stored in frames; null: what is stored is the content. */
  frames: FrameTable | null;
  digest: Digest;
  size: number;
  subject: Subject;
  caller: Caller;
}

/** A range of it. That its bytes are right is checked of frames alone: of anything else only whole content can be. @throws StoreError integrity_failure */
export async function openRange(services: Services<WithReader>, stored: Stored, range: ByteRange): Promise<Readable> {
  const within = { offset: (stored.place?.offset ?? 0) + range.offset, size: range.size };
  const stream = complete(services, stored, await open(services, stored, within), range.size);
  // So a damaged first frame gets an error answer, instead of a connection that is cut without one.
  if (stored.frames !== null) await once(stream, 'readable');
  return stream;
}

/** All of it, as storage has it. @throws StoreError integrity_failure */
export async function openUnchecked(services: Services<WithReader>, stored: Stored): Promise<Readable> {
  return complete(services, stored, await open(services, stored, stored.place), stored.size);
}

/**
 * All of it, hashed on the way. Small content has been checked when this returns. Of larger content the last bytes are held
 * back until the digest is right; if it is wrong, the stream fails instead.
 * @throws StoreError integrity_failure
 */
export async function openChecked(services: Services<WithReader>, stored: Stored): Promise<Buffer | Readable> {
  if (stored.size === 0) return Buffer.alloc(0);
  const stream = await open(services, stored, stored.place);
  const rules = rulesOf(stored);
  try {
    if (stored.size <= CHECKED_BEFORE_MAX) return await readWhole(stream, rules);
  } catch (error) {
    throw await reported(services, stored, error);
  }
  return Readable.from(reporting(services, stored, holdBack(stream, rules)), { objectMode: false });
}

async function open(services: Services<WithReader>, stored: Stored, range: ByteRange | null): Promise<Readable> {
  const { key, versionId, subject, caller, digest, frames } = stored;
  const ref = { key: key as ObjectKey, versionId };
  try {
    return await openContent(services, ref, { frames, range, label: subject.label });
  } catch (error) {
    const seen = lossOf(error);
    if (seen === null) throw error;
    const detail = `The stored bytes of ${subject.label} ${seen}.`;
    throw await reportDamage(services, caller, subject, { expected: digest, actual: null, detail });
  }
}

/**
 * A range of an object's content, as storage has it. Of one in frames, those that hold the range are read, and nothing else.
 * @param range null: all of it @param label of what is read, for messages
 */
export async function openContent(
  { blobs }: Services<WithReader>,
  ref: ObjectRef,
  { frames, range: wanted, label }: { frames: FrameTable | null; range: ByteRange | null; label: string },
): Promise<Readable> {
  if (frames === null) return blobs.objects.open(ref, wanted ?? undefined);
  const range = wanted ?? { offset: 0, size: frames.logicalSize };
  const { first, last, storedAt, stored } = frames.covering(range);
  const stream = await blobs.objects.open(ref, { offset: storedAt, size: stored });
  const decoder = FrameDecoder.frames(frames, first, last);
  async function* content(): AsyncGenerator<Uint8Array> {
    try {
      yield* decoder.range(stream as AsyncIterable<Uint8Array>, range);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      const detail = `The stored bytes of ${label} cannot be read: their object ${error.message}.`;
      throw new StoreError('integrity_failure', detail, {}, { cause: error });
    }
  }
  return Readable.from(content(), { objectMode: false });
}

/** A stream that fails when storage has fewer or other bytes, instead of ending as if that were all. */
function complete(services: Services, stored: Stored, stream: Readable, size: number): Readable {
  async function* counted(): AsyncGenerator<Uint8Array> {
    let left = size;
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      left -= chunk.length;
      yield chunk;
    }
    if (left <= 0) return;
    const detail = `The stored bytes of ${stored.subject.label} are incomplete: ${left} are missing.`;
    throw new StoreError('integrity_failure', detail);
  }
  return Readable.from(reporting(services, stored, counted()), { objectMode: false });
}

/** The registry says that they are stored: if they are absent or too short, bytes were lost. */
function lossOf(error: unknown): string | null {
  if (isStoreError(error, 'object_not_found')) return 'are missing from storage';
  const isShort = isStoreError(error, 'range_not_satisfiable') || isStoreError(error, 'integrity_failure');
  return isShort ? 'are incomplete' : null;
}

/** @throws StoreError integrity_failure, with the digest where there is one */
function rulesOf({ digest, size, subject }: Stored): CheckRules {
  const damaged = (seen: string, actual: Digest | null): StoreError =>
    new StoreError('integrity_failure', `The stored bytes of ${subject.label} ${seen}.`, { actual_digest: actual });
  return {
    checkSize(read) {
      if (read > size) throw damaged(`are more than ${size}, the size of what was stored`, null);
    },
    checkBytes(read, found) {
      if (read < size) throw damaged(`are ${read}, not ${size}`, found);
      if (found !== digest) throw damaged(`have the digest ${found}, not ${digest}`, found);
    },
  };
}

async function readWhole(stream: Readable, { checkSize, checkBytes }: CheckRules): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    checkSize(size);
    chunks.push(chunk);
  }
  const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
  checkBytes(size, digestOf(bytes));
  return bytes;
}

async function* reporting(
  services: Services,
  stored: Stored,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    throw await reported(services, stored, error);
  }
}

/** Reports the damage if that is what the error says. @returns the error to throw */
async function reported(services: Services, { digest, subject, caller }: Stored, error: unknown): Promise<unknown> {
  if (!isStoreError(error, 'integrity_failure')) return error;
  const actual = (error.extras.actual_digest ?? null) as Digest | null;
  return reportDamage(services, caller, subject, { expected: digest, actual, detail: error.message });
}

import { Readable } from 'node:stream';
import type { ByteRange } from '../blobs/blob-store.ts';
import { type CheckRules, holdBack } from '../blobs/hold-back.ts';
import type { ObjectKey } from '../blobs/key-layout.ts';
import { type Digest, digestOf } from '../core/digest.ts';
import { isStoreError, StoreError } from '../core/errors.ts';
import { reportDamage, type Subject } from './report-damage.ts';
import type { Caller, Services } from './services.ts';

/** Content up to this size is read and checked before any of it is given out. */
const CHECKED_BEFORE_MAX = 1024 ** 2;

/** Content that the registry says is stored, and who asks for it. */
export interface Stored {
  key: string;
  versionId: string | null;
  /** Where it lies in its object; null: it is the whole object. */
  place: ByteRange | null;
  digest: Digest;
  size: number;
  subject: Subject;
  caller: Caller;
}

/** A range of it, as storage has it: only whole content can be checked. @throws StoreError integrity_failure */
export async function openRange(services: Services, stored: Stored, range: ByteRange): Promise<Readable> {
  const within = { offset: (stored.place?.offset ?? 0) + range.offset, size: range.size };
  return complete(services, stored, await open(services, stored, within), range.size);
}

/** All of it, as storage has it. @throws StoreError integrity_failure */
export async function openUnchecked(services: Services, stored: Stored): Promise<Readable> {
  return complete(services, stored, await open(services, stored, stored.place), stored.size);
}

/**
 * All of it, hashed on the way. Small content has been checked when this returns. Of larger content the last bytes are held
 * back until the digest is right; if it is wrong, the stream fails instead.
 * @throws StoreError integrity_failure
 */
export async function openChecked(services: Services, stored: Stored): Promise<Buffer | Readable> {
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

async function open(services: Services, stored: Stored, range: ByteRange | null): Promise<Readable> {
  const { key, versionId, subject, caller, digest } = stored;
  try {
    return await services.blobs.openObject({ key: key as ObjectKey, versionId }, range ?? undefined);
  } catch (error) {
    const seen = lossOf(error);
    if (seen === null) throw error;
    const detail = `The stored bytes of ${subject.label} ${seen}.`;
    throw await reportDamage(services, caller, subject, { expected: digest, actual: null, detail });
  }
}

/** A stream that fails when storage has fewer bytes, instead of ending as if that were all. */
function complete(services: Services, stored: Stored, stream: Readable, size: number): Readable {
  async function* counted(): AsyncGenerator<Uint8Array> {
    let left = size;
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      left -= chunk.length;
      yield chunk;
    }
    if (left <= 0) return;
    const { subject, caller, digest } = stored;
    const detail = `The stored bytes of ${subject.label} are incomplete: ${left} are missing.`;
    throw await reportDamage(services, caller, subject, { expected: digest, actual: null, detail });
  }
  return Readable.from(counted(), { objectMode: false });
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

import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { ByteRange } from '../blobs/blob-store.ts';
import { holdBack } from '../blobs/hold-back.ts';
import type { ObjectKey } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { isStoreError, StoreError } from '../core/errors.ts';
import { reportDamage, type Subject } from './report-damage.ts';
import type { Caller, Services } from './services.ts';

/** Up to here bytes are read and checked before the first of them is given out. */
const CHECKED_BEFORE_MAX = 1024 ** 2;

/** Content that the registry says is stored, and who asks for it. */
export interface Stored {
  key: string;
  versionId: string | null;
  /** Where it is in its object; null: it is the object. */
  place: ByteRange | null;
  digest: Digest;
  size: number;
  subject: Subject;
  caller: Caller;
}

/** A range of it, as storage has it: what is not whole cannot be checked. @throws StoreError integrity_failure */
export async function openRange(services: Services, stored: Stored, range: ByteRange): Promise<Readable> {
  return open(services, stored, { offset: (stored.place?.offset ?? 0) + range.offset, size: range.size });
}

/** All of it, as storage has it. @throws StoreError integrity_failure */
export async function openUnchecked(services: Services, stored: Stored): Promise<Readable> {
  return open(services, stored, stored.place);
}

/**
 * All of it, hashed on the way. What is small was checked when this returns; of anything larger the last bytes are held back
 * until the digest is right, and the stream fails instead if it is not.
 * @throws StoreError integrity_failure
 */
export async function openChecked(services: Services, stored: Stored): Promise<Buffer | Readable> {
  if (stored.size === 0) return Buffer.alloc(0);
  const checked = checkedChunks(services, stored, await openUnchecked(services, stored));
  if (stored.size <= CHECKED_BEFORE_MAX) return buffer(checked);
  return Readable.from(checked, { objectMode: false });
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

/** Absence is no question of a wrong address here, nor an end that comes too soon: bytes were lost. */
function lossOf(error: unknown): string | null {
  if (isStoreError(error, 'object_not_found')) return 'are gone';
  const isShort = isStoreError(error, 'range_not_satisfiable') || isStoreError(error, 'integrity_failure');
  return isShort ? 'are fewer than they were' : null;
}

async function* checkedChunks(services: Services, stored: Stored, stream: Readable): AsyncGenerator<Uint8Array> {
  const { digest, size, subject, caller } = stored;
  const damaged = (seen: string): StoreError =>
    new StoreError('integrity_failure', `The stored bytes of ${subject.label} ${seen}.`);
  let actual: Digest | null = null;
  try {
    yield* holdBack(stream, {
      checkSize(read) {
        if (read > size) throw damaged(`are more than the ${size} that they were`);
      },
      checkBytes(read, found) {
        actual = found;
        if (read < size) throw damaged(`are ${read}, not the ${size} that they were`);
        if (found !== digest) throw damaged(`have the digest ${found}, not ${digest}`);
      },
    });
  } catch (error) {
    if (!isStoreError(error, 'integrity_failure')) throw error;
    throw await reportDamage(services, caller, subject, { expected: digest, actual, detail: error.message });
  }
}

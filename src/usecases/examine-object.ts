import type { ObjectReader, ObjectRef, ObjectStat } from '../blobs/blob-store.ts';
import type { StreamChecker } from '../blobs/check-thread.ts';
import type { Content } from '../blobs/examination.ts';
import type { ObjectKey } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { readSeekTable, SEEK_TABLE_FOOTER_SIZE, type StoredForm, seekTableAt } from '../core/frame-table.ts';

/** An object whose bytes are what its key says. */
export interface RightObject {
  content: Content;
  /** Null: it is stored as it is. */
  stored: StoredForm | null;
}

/**
 * Reads an object of which only the digest in its key is known, and finds out how it is stored. Once, and its end before: only that
 * tells whether its beginning is a frame.
 * @returns the digest that its bytes have when they are not those of the key
 */
export async function examineObject(
  objects: ObjectReader,
  checker: StreamChecker,
  { key, versionId, size }: Pick<ObjectStat, 'size' | 'versionId'> & { key: ObjectKey },
  digest: Digest,
): Promise<RightObject | Digest> {
  const ref = { key, versionId };
  const frames = await framesOf(objects, ref, size);
  const stream = await objects.open(ref);
  const { stored, decoded } = await checker.examine(stream, frames);
  if (stored.digest === digest) return { content: stored, stored: null };
  if (decoded === null || frames === null || decoded.digest !== digest) return stored.digest;
  return { content: decoded, stored: { digest: stored.digest, size: stored.size, frames } };
}

/** The encoded frame table that stands at the object's end; null: none does. */
async function framesOf(objects: ObjectReader, ref: ObjectRef, size: number): Promise<Buffer<ArrayBuffer> | null> {
  if (size <= SEEK_TABLE_FOOTER_SIZE) return null;
  const length = seekTableAt(await readEnd(objects, ref, size, SEEK_TABLE_FOOTER_SIZE));
  if (length === null || length >= size) return null;
  const table = readSeekTable(await readEnd(objects, ref, size, length), size);
  return table === null ? null : Buffer.from(table.encode());
}

async function readEnd(objects: ObjectReader, ref: ObjectRef, size: number, length: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const stream = await objects.open(ref, { offset: size - length, size: length });
  for await (const chunk of stream as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

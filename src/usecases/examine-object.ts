import type { ObjectReader, ObjectRef, ObjectStat } from '../blobs/blob-store.ts';
import type { StreamChecker } from '../blobs/check-thread.ts';
import type { Content } from '../blobs/examination.ts';
import type { ObjectKey } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import {
  type FrameTable,
  readSeekTable,
  SEEK_TABLE_FOOTER_SIZE,
  type StoredForm,
  seekTableAt,
} from '../core/frame-table.ts';
import type { Salvaged } from '../core/pack-salvage.ts';

/** An object whose bytes are what its key says. */
export interface RightObject {
  content: Content;
  /** Null: it is stored as it is. */
  stored: StoredForm | null;
  salvaged: null;
}

/** An object whose bytes are not what its key says. */
export interface WrongObject {
  /** Of its content, if its seek table is right. */
  size: number;
  /** As it stands; null: as it is. */
  stored: StoredForm | null;
  salvaged: Salvaged;
}

/**
 * Reads an object of which only the digest in its key is known, and finds out how it is stored. Once, and its end before: only that
 * tells whether its beginning is a frame. What is not what its key says is read a second time, for what it still has.
 */
export async function examineObject(
  objects: ObjectReader,
  checker: StreamChecker,
  { key, versionId, size }: Pick<ObjectStat, 'size' | 'versionId'> & { key: ObjectKey },
  digest: Digest,
): Promise<RightObject | WrongObject> {
  const ref = { key, versionId };
  const table = await frameTableOf(objects, ref, size);
  const frames = table && Buffer.from(table.encode());
  const { stored, decoded } = await checker.examine(await objects.open(ref), frames);
  if (stored.digest === digest) return { content: stored, stored: null, salvaged: null };
  const form = frames && { digest: stored.digest, size: stored.size, frames };
  if (decoded?.digest === digest) return { content: decoded, stored: form, salvaged: null };
  const salvaged = await checker.salvage(await objects.open(ref), frames);
  return { size: table?.logicalSize ?? stored.size, stored: form, salvaged };
}

/** The frame table that stands at the object's end; null: none does. */
async function frameTableOf(objects: ObjectReader, ref: ObjectRef, size: number): Promise<FrameTable | null> {
  if (size <= SEEK_TABLE_FOOTER_SIZE) return null;
  const length = seekTableAt(await readEnd(objects, ref, size, SEEK_TABLE_FOOTER_SIZE));
  if (length === null || length >= size) return null;
  return readSeekTable(await readEnd(objects, ref, size, length), size);
}

async function readEnd(objects: ObjectReader, ref: ObjectRef, size: number, length: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const stream = await objects.open(ref, { offset: size - length, size: length });
  for await (const chunk of stream as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

import type { ObjectReader } from '../blobs/blob-store.ts';
import type { ObjectKey } from '../blobs/key-layout.ts';

/** A small object, whole; of a larger one no more than `max` bytes, and a little. @throws StoreError object_not_found, unavailable */
export async function readSmall(
  objects: ObjectReader,
  key: ObjectKey,
  max: number,
  versionId: string | null = null,
): Promise<Buffer> {
  const stream = await objects.open({ key, versionId });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > max) break;
  }
  stream.destroy();
  return Buffer.concat(chunks);
}

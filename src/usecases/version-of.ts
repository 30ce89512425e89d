import type { ObjectReader, ObjectRef } from '../blobs/blob-store.ts';

/** Which version is read from now on: a list may not say, and storage may keep none. Null: it does not, or nothing is there. */
export async function versionOf(objects: ObjectReader, ref: ObjectRef): Promise<string | null> {
  return ref.versionId ?? (await objects.stat(ref))?.versionId ?? null;
}

import type { Readable } from 'node:stream';
import type { ObjectKey } from '../blobs/key-layout.ts';
import { isStoreError } from '../core/errors.ts';
import type { ObjectRecord } from '../registry/object-record.ts';
import type { Services, WithReader } from './services.ts';

/** An object in storage, and what its bytes must be: of an upload that was completed, or of the registry. */
export type StoredObject = Pick<
  ObjectRecord,
  'key' | 'version_id' | 'digest' | 'size' | 'stored_size' | 'stored_digest'
>;

/** The stored bytes; null: storage does not have the object. @throws StoreError unavailable */
export async function openStoredObject(
  { blobs }: Services<WithReader>,
  { key, version_id: versionId }: Pick<StoredObject, 'key' | 'version_id'>,
): Promise<Readable | null> {
  try {
    return await blobs.objects.open({ key: key as ObjectKey, versionId });
  } catch (error) {
    if (isStoreError(error, 'object_not_found')) return null;
    throw error;
  }
}

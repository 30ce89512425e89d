import type { UploadHandle } from '../blobs/blob-store.ts';
import type { ObjectKey } from '../blobs/key-layout.ts';
import { StoreError } from '../core/errors.ts';
import type { UploadId } from '../core/ids.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import { mapLimit } from './map-limit.ts';
import type { Services, WithUploads } from './services.ts';

/** How many storage calls a batch has in flight. */
const STORAGE_CONCURRENCY = 16;

/**
 * What storage calls these uploads, telling it first of those that it does not know. The row is there before: a crash in
 * between leaves an upload on a key whose row has another name or none, which is how the sweep can tell.
 * @returns without those that have ended before they had a name
 */
export async function nameInStorage(
  services: Services<WithUploads>,
  uploads: readonly UploadRecord[],
): Promise<Map<UploadId, UploadHandle>> {
  const unnamed = uploads.filter((upload) => upload.storage_upload_id === null);
  const mine = await mapLimit(unnamed, STORAGE_CONCURRENCY, async ({ id, key }) => ({
    id,
    key: key as ObjectKey,
    storageUploadId: await services.blobs.uploads.create(key as ObjectKey, id),
  }));
  const known = mine.length === 0 ? uploads : await keepNames(services, uploads, mine);
  await abortSurplus(services, mine, known);
  const named = known.filter((upload) => upload.storage_upload_id !== null);
  return new Map(named.map((upload) => [upload.id, handleOf(upload)]));
}

/** Another planner may have been first, or an upload has ended: what the registry says counts. @returns what it says */
function keepNames(
  { registry }: Services,
  uploads: readonly UploadRecord[],
  begun: readonly UploadHandle[],
): Promise<UploadRecord[]> {
  return registry.transaction(async (tables) => {
    await tables.uploads.setStorageIds(begun);
    return tables.uploads.getMany(uploads.map((upload) => upload.id));
  });
}

/** Ends what was begun in storage in vain: nobody was given it, and it was never completed. */
async function abortSurplus(
  services: Services<WithUploads>,
  begun: readonly UploadHandle[],
  known: readonly UploadRecord[],
): Promise<void> {
  const names = new Map(known.map((upload) => [upload.id, upload.storage_upload_id]));
  const surplus = begun.filter(({ id, storageUploadId }) => names.get(id) !== storageUploadId);
  await mapLimit(surplus, STORAGE_CONCURRENCY, async (upload) => {
    await services.blobs.uploads.abort(upload).catch((err) => {
      services.log.warn(
        { upload: upload.id, err },
        'an upload that no row names stays in storage: the sweep has to remove it',
      );
    });
  });
}

/** @throws Error when storage has not named the upload yet */
export function handleOf(upload: UploadRecord): UploadHandle {
  if (upload.storage_upload_id === null) throw new Error(`upload ${upload.id} has no name in storage`);
  return { id: upload.id, key: upload.key as ObjectKey, storageUploadId: upload.storage_upload_id };
}

/** Of an upload that storage has no name for any more. */
export function closed(uploadId: UploadId): StoreError {
  return new StoreError('upload_closed', `Upload ${uploadId} is no longer open: plan the object again.`);
}

import type { Completion } from '../blobs/blob-store.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import { completionOf } from './completion.ts';
import { handleOf } from './name-in-storage.ts';
import type { Services, WithUploads } from './services.ts';

/**
 * Removes the object under a key that nothing refers to, as far as the completion allows. If storage refuses now,
 * recovery retries; what can only be freed later stays marked for the sweep. @returns false: recovery is to try it again
 */
export async function dropKey(
  services: Services<WithUploads>,
  upload: UploadRecord,
  completion: Completion = completionOf(upload),
): Promise<boolean> {
  if (!upload.drop_key) return true;
  try {
    const outcome =
      upload.storage_upload_id === null
        ? 'dropped'
        : await services.blobs.uploads.drop(handleOf(upload), completion, upload.version_id);
    await services.registry.transaction(({ uploads }) =>
      outcome === 'dropped' ? uploads.setDropped(upload.id) : uploads.setDropLater(upload.id),
    );
    return true;
  } catch (error) {
    services.log.warn({ upload: upload.id, err: error }, 'the dropped object stays until recovery removes it');
    return false;
  }
}

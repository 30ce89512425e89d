import { StoreError } from '../core/errors.ts';
import type { UploadId } from '../core/ids.ts';
import { isFinal } from '../core/upload-state.ts';
import type { UploadRecord } from '../registry/uploads.ts';
import { readUpload } from './access.ts';
import { handleOf } from './plan-uploads.ts';
import { recordChange } from './record.ts';
import type { Caller, Services } from './services.ts';

/** Gives an open upload up. What has ended already stays as it is. @throws StoreError upload_closed while it completes */
export async function abortUpload(services: Services, caller: Caller, id: UploadId): Promise<UploadRecord> {
  await services.registry.transaction(async (tables) => {
    const { upload } = await readUpload(tables, caller, id);
    if (!(await tables.uploads.move(id, 'open', 'aborting'))) {
      if (isFinal(upload.state) || upload.state === 'aborting') return;
      throw new StoreError('upload_closed', `Upload ${id} is ${upload.state}: it cannot be aborted any more.`);
    }
    await recordChange(tables, caller, {
      at: await tables.now(),
      action: 'upload.aborted',
      package_id: upload.package_id,
      subject_id: id,
    });
  });
  const { upload } = await readUpload(services.registry.read, caller, id);
  if (upload.state === 'aborting') await finishAbort(services, upload);
  return (await readUpload(services.registry.read, caller, id)).upload;
}

/** Tells storage of an upload that can never be completed any more. What fails here, recovery does again. */
export async function finishAbort(services: Services, upload: UploadRecord): Promise<void> {
  // An upload that storage never named may still have begun there; aborting what is unknown is no error.
  await services.blobs.abortUpload(handleOf({ ...upload, storage_upload_id: upload.storage_upload_id ?? upload.id }));
  await services.registry.transaction((tables) => tables.uploads.move(upload.id, 'aborting', 'aborted'));
}

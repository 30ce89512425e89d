import type { UploadId } from '../core/ids.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import { readUpload } from './access.ts';
import { handleOf } from './name-in-storage.ts';
import type { Caller, Services, WithUploads } from './services.ts';

/** An upload and its parts; storage says which of them have arrived while it is open. */
export async function getUpload(
  services: Services<WithUploads>,
  caller: Caller,
  id: UploadId,
): Promise<{ upload: UploadRecord; parts: Array<PlannedPart & { received: boolean }> }> {
  const { upload } = await readUpload(services.registry.read, caller, id);
  const planned = (await services.registry.read.uploads.parts([id])).get(id) ?? [];
  if (upload.state === 'completing' || upload.state === 'committed') {
    return { upload, parts: planned.map((part) => ({ ...part, received: true })) };
  }
  const asks = upload.state === 'open' && upload.storage_upload_id !== null;
  const listed = asks ? await services.blobs.uploads.listParts(handleOf(upload)) : null;
  const arrived = new Set(listed?.map((part) => part.number));
  return { upload, parts: planned.map((part) => ({ ...part, received: arrived.has(part.number) })) };
}

import type { ReceivedPart } from '../blobs/blob-store.ts';
import type { PartReceiver } from '../blobs/part-receiver.ts';
import { StoreError } from '../core/errors.ts';
import type { UploadId } from '../core/ids.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { UploadState } from '../core/upload-state.ts';
import type { Services } from './services.ts';

/** The planned part that a signed URL is for. @throws StoreError upload_not_found, part_not_found */
export async function findPart(
  services: Services,
  uploadId: UploadId,
  number: number,
): Promise<{ part: PlannedPart; state: UploadState }> {
  const { uploads } = services.registry.read;
  const found = await uploads.findPart(uploadId, number);
  if (found) return found;
  if (await uploads.get(uploadId)) throw new StoreError('part_not_found', `Upload ${uploadId} has no part ${number}.`);
  throw new StoreError('upload_not_found', `There is no upload ${uploadId}.`);
}

/** Takes a part's bytes for the local folder. @throws StoreError upload_closed, part_digest_mismatch, no_space, … */
export async function receivePart(
  receiver: PartReceiver,
  uploadId: UploadId,
  { part, state }: { part: PlannedPart; state: UploadState },
  body: AsyncIterable<Uint8Array>,
): Promise<ReceivedPart> {
  if (state !== 'open') {
    throw new StoreError('upload_closed', `Upload ${uploadId} is ${state}: plan the object again.`);
  }
  return receiver.receivePart(uploadId, part, body);
}

import type { ReceivedPart } from '../blobs/blob-store.ts';
import type { PartReceiver } from '../blobs/part-receiver.ts';
import { StoreError } from '../core/errors.ts';
import type { UploadId } from '../core/ids.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { UploadState } from '../core/upload-state.ts';
import type { Services } from './services.ts';

/**
 * The planned part that a signed URL is for. That there is none is answered as a wrong signature is: whoever was not given the URL
 * learns nothing of the upload. @throws StoreError invalid_signature
 */
export async function findPart(
  services: Services,
  uploadId: UploadId,
  number: number,
): Promise<{ part: PlannedPart; state: UploadState }> {
  const found = await services.registry.read.uploads.findPart(uploadId, number);
  if (found) return found;
  throw new StoreError('invalid_signature', 'The signature does not match this request: use the URL as it was issued.');
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

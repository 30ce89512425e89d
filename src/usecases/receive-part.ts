import type { ReceivedPart } from '../blobs/blob-store.ts';
import type { PartReceiver } from '../blobs/part-receiver.ts';
import { StoreError } from '../core/errors.ts';
import type { UploadId } from '../core/ids.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { Services } from './services.ts';

/** The planned part that a signed URL is for. @throws StoreError upload_not_found, part_not_found */
export async function findPart(services: Services, uploadId: UploadId, number: number): Promise<PlannedPart> {
  const parts = (await services.registry.read.uploads.parts([uploadId])).get(uploadId) ?? [];
  const part = parts.find((candidate) => candidate.number === number);
  if (part) return part;
  if (parts.length > 0) throw new StoreError('part_not_found', `Upload ${uploadId} has no part ${number}.`);
  throw new StoreError('upload_not_found', `There is no upload ${uploadId}.`);
}

/** Takes a part's bytes for the local folder. @throws StoreError upload_closed, part_digest_mismatch, no_space, … */
export async function receivePart(
  services: Services,
  receiver: PartReceiver,
  uploadId: UploadId,
  part: PlannedPart,
  body: AsyncIterable<Uint8Array>,
): Promise<ReceivedPart> {
  const upload = await services.registry.read.uploads.get(uploadId);
  if (upload?.state !== 'open') {
    throw new StoreError('upload_closed', `Upload ${uploadId} is ${upload?.state}: plan the object again.`);
  }
  return receiver.receivePart(uploadId, part, body);
}

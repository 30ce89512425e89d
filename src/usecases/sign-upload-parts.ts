import { StoreError } from '../core/errors.ts';
import type { UploadId } from '../core/ids.ts';
import { readUpload } from './access.ts';
import { closed, nameInStorage } from './name-in-storage.ts';
import type { Caller, Services, WithUploads } from './services.ts';
import { type PartRequest, receivedParts, signParts, urlExpiry } from './sign-parts.ts';

/** Fresh URLs for some parts of an open upload. @throws StoreError upload_not_found, part_not_found, upload_closed */
export async function signUploadParts(
  services: Services<WithUploads>,
  caller: Caller,
  uploadId: UploadId,
  numbers: readonly number[],
): Promise<PartRequest[]> {
  const { upload } = await readUpload(services.registry.read, caller, uploadId);
  const handle = upload.state === 'open' ? (await nameInStorage(services, [upload])).get(uploadId) : undefined;
  if (handle === undefined) throw closed(uploadId);
  const parts = (await services.registry.read.uploads.parts([uploadId])).get(uploadId) ?? [];
  const byNumber = new Map(parts.map((part) => [part.number, part]));
  const wanted = numbers.map((number) => {
    const part = byNumber.get(number);
    if (!part) throw new StoreError('part_not_found', `Upload ${uploadId} has no part ${number}.`);
    return part;
  });
  const received = await receivedParts(services, upload, handle, parts);
  // Storage has lost it: whoever plans the object again gets another one.
  if (received === null) throw closed(uploadId);
  return signParts(services, handle, wanted, received, await urlExpiry(services));
}

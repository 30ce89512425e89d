import type { PlannedPart } from '../core/part-plan.ts';
import type { DownloadOptions, SignedRequest, UploadHandle } from './blob-store.ts';
import type { UrlSigner } from './url-signer.ts';

/** What a part is sent as, and as nothing else: the service holds a part request to it. */
export const PART_MEDIA_TYPE = 'application/octet-stream';

/** The requests that http/routes/signed.ts serves. @param publicUrl how clients reach the service, without a slash */
export function partRequest(
  signer: UrlSigner,
  publicUrl: string,
  upload: UploadHandle,
  part: PlannedPart,
  expiresAt: number,
): SignedRequest {
  const { number, digest, size } = part;
  const signature = signer.signPart({ uploadId: upload.id, number, digest, size, expires: expiresAt });
  return {
    method: 'PUT',
    url: `${publicUrl}/v1/uploads/${upload.id}/parts/${number}?expires=${expiresAt}&signature=${signature}`,
    headers: { 'content-length': String(size), 'content-type': PART_MEDIA_TYPE },
    expiresAt,
  };
}

export function downloadRequest(
  signer: UrlSigner,
  publicUrl: string,
  { objectId, range, expiresAt }: DownloadOptions,
): SignedRequest {
  const signature = signer.signDownload({ objectId, range, expires: expiresAt });
  const ranged = range === undefined ? '' : `&range=${range.offset}-${range.size}`;
  return {
    method: 'GET',
    url: `${publicUrl}/v1/objects/${encodeURIComponent(objectId)}?expires=${expiresAt}&signature=${signature}${ranged}`,
    headers: range === undefined ? {} : { range: `bytes=${range.offset}-${range.offset + range.size - 1}` },
    expiresAt,
  };
}

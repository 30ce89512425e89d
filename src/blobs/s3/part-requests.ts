import { digestHex, digestToBytes } from '../../core/digest.ts';
import type { PlannedPart } from '../../core/part-plan.ts';
import type { BucketAddress } from './bucket-address.ts';
import type { UploadName } from './upload-name.ts';
import type { RequestToSign } from './url-signing.ts';

/**
 * An UploadPart request that takes these bytes and no others: the length and the hash are signed headers. It dies with
 * its upload, which no signed PutObject does.
 */
export function partRequest(
  address: BucketAddress,
  name: string,
  upload: UploadName,
  part: Pick<PlannedPart, 'number' | 'digest' | 'size'>,
  expiresAt: number,
): RequestToSign {
  return {
    method: 'PUT',
    address,
    name,
    query: { partNumber: String(part.number), uploadId: upload.s3Id },
    headers: bodyHeaders(part, upload.checksums),
    expiresAt,
  };
}

/** What binds a request to its body. @param checksums also in the way that some servers check alone */
export function bodyHeaders(
  { digest, size }: Pick<PlannedPart, 'digest' | 'size'>,
  checksums: boolean,
): Record<string, string> {
  return {
    'content-length': String(size),
    'x-amz-content-sha256': digestHex(digest),
    ...(checksums ? { 'x-amz-checksum-sha256': checksumOf(digest) } : {}),
  };
}

export function checksumOf(digest: PlannedPart['digest']): string {
  return digestToBytes(digest).toString('base64');
}

import { GetObjectCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { DownloadOptions, ObjectRef, SignedRequest } from '../blob-store.ts';
import type { S3Access } from './access.ts';
import { validity } from './url-signing.ts';

/**
 * A GET of an object, or of one range: then the Range header is signed, and another one is refused. Whatever was stored
 * is served as an attachment of no type: evidence may be hostile HTML.
 */
export async function signDownload(
  access: S3Access,
  { key, versionId }: ObjectRef,
  { expiresAt, range }: Pick<DownloadOptions, 'expiresAt' | 'range'>,
): Promise<SignedRequest> {
  const { signedAt, seconds } = validity(access.clock(), expiresAt);
  const header = range === undefined ? undefined : `bytes=${range.offset}-${range.offset + range.size - 1}`;
  const command = new GetObjectCommand({
    Bucket: access.bucket,
    Key: access.names.toName(key),
    ResponseContentDisposition: 'attachment',
    ResponseContentType: 'application/octet-stream',
    ...(versionId === null ? {} : { VersionId: versionId }),
    ...(header === undefined ? {} : { Range: header }),
  });
  const url = await getSignedUrl(access.downloads, command, {
    expiresIn: seconds,
    signingDate: new Date(signedAt),
    signableHeaders: new Set(['host', 'range']),
  });
  return {
    method: 'GET',
    url,
    headers: header === undefined ? {} : { range: header },
    expiresAt: signedAt + seconds * 1_000,
  };
}

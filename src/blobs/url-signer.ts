import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { UploadId } from '../core/ids.ts';
import type { ByteRange } from './blob-store.ts';

/** What the signature of a part request covers, in addition to the method. */
export interface PartFields {
  uploadId: UploadId;
  number: number;
  digest: Digest;
  size: number;
  /** ms */
  expires: number;
}

/** What the signature of a download covers, in addition to the method. */
export interface DownloadFields {
  objectId: string;
  range?: ByteRange | undefined;
  /** ms */
  expires: number;
}

type Presented<Fields> = Fields & { signature: string; now: number };

/** Signs the URLs that this service serves itself: HMAC-SHA256, base64url. Pure. */
export interface UrlSigner {
  signPart(fields: PartFields): string;
  signDownload(fields: DownloadFields): string;
  /** @throws StoreError invalid_signature, then url_expired */
  verifyPart(presented: Presented<PartFields>): void;
  /** @throws StoreError invalid_signature, then url_expired */
  verifyDownload(presented: Presented<DownloadFields>): void;
}

export function urlSigner(key: Uint8Array): UrlSigner {
  // JSON keeps the fields apart, whatever a caller writes into one of them.
  const sign = (...fields: Array<string | number | null>): string =>
    createHmac('sha256', key).update(JSON.stringify(fields)).digest('base64url');

  const signPart = ({ uploadId, number, digest, size, expires }: PartFields): string =>
    sign('PUT', uploadId, number, digest, size, expires);
  const signDownload = ({ objectId, range, expires }: DownloadFields): string =>
    sign('GET', objectId, range?.offset ?? null, range?.size ?? null, expires);

  return {
    signPart,
    signDownload,
    verifyPart: (presented) => verify(signPart(presented), presented),
    verifyDownload: (presented) => verify(signDownload(presented), presented),
  };
}

function verify(expected: string, { signature, expires, now }: Presented<{ expires: number }>): void {
  const ours = Buffer.from(expected);
  const theirs = Buffer.from(signature);
  if (ours.length !== theirs.length || !timingSafeEqual(ours, theirs)) {
    throw new StoreError(
      'invalid_signature',
      'The signature does not match this request: use the URL as it was issued.',
    );
  }
  if (now >= expires) {
    throw new StoreError('url_expired', `The URL expired at ${new Date(expires).toISOString()}: ask for a fresh one.`);
  }
}

import type { PartReceiver } from '../blobs/part-receiver.ts';
import type { UrlSigner } from '../blobs/url-signer.ts';

/** What it takes to serve signed URLs from this very service. */
export interface SignedBytes {
  signer: UrlSigner;
  /** Null where parts go to the bucket: then the service serves only ranges of which the bucket would give more. */
  parts: PartReceiver | null;
}

import type { PartReceiver } from '../blobs/part-receiver.ts';
import type { UrlSigner } from '../blobs/url-signer.ts';

/** What it takes to serve signed URLs from this very service. */
export interface SignedBytes {
  signer: UrlSigner;
  parts: PartReceiver;
}

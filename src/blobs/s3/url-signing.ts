import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import type { SignedRequest } from '../blob-store.ts';
import type { BucketAddress } from './bucket-address.ts';

export interface AwsKeys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

export interface RequestToSign {
  method: 'GET' | 'PUT';
  address: BucketAddress;
  name: string;
  query?: Record<string, string>;
  /** All of them are signed as headers, like the host: a request that changes or omits one is refused. */
  headers: Record<string, string>;
  expiresAt: number;
}

export type UrlSigning = (request: RequestToSign) => Promise<SignedRequest>;

/** S3 takes no URL that is good for longer. */
const LONGEST_SECONDS = 7 * 86_400;

/**
 * Signs URLs here, without I/O. Unlike `getSignedUrl` of the SDK, which signs UNSIGNED-PAYLOAD always, the payload's hash
 * is the `x-amz-content-sha256` among the headers, and stays a header: in the query it would bind nobody.
 */
export function urlSigning(region: string, keys: () => Promise<AwsKeys>, clock: () => number): UrlSigning {
  const signer = new SignatureV4({
    service: 's3',
    region,
    credentials: keys,
    sha256: NodeSha256,
    uriEscapePath: false,
    applyChecksum: false,
  });
  return async ({ method, address, name, query = {}, headers, expiresAt }) => {
    const { signedAt, seconds } = validity(clock(), expiresAt);
    const signed = await signer.presign(
      {
        method,
        protocol: address.protocol,
        hostname: address.host,
        path: address.path(name),
        query: { ...query },
        // Without a hash among the headers this goes into the query, where S3 looks for it.
        headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', ...headers, host: address.host },
      },
      { expiresIn: seconds, signingDate: new Date(signedAt), unhoistableHeaders: new Set(Object.keys(headers)) },
    );
    const search = Object.entries(signed.query ?? {}).map(
      ([key, value]) => `${key}=${encodeURIComponent(String(value))}`,
    );
    return {
      method,
      url: `${address.protocol}//${address.host}${signed.path}?${search.join('&')}`,
      headers,
      expiresAt: signedAt + seconds * 1_000,
    };
  };
}

/**
 * Since when, and for how many seconds, a URL is good that ends at `expiresAt`, which may have passed. Counted from
 * `expiresAt`, so that a clock that is off moves the beginning, not the end.
 */
export function validity(now: number, expiresAt: number): { signedAt: number; seconds: number } {
  const end = Math.floor(expiresAt / 1_000);
  const start = Math.min(Math.floor(now / 1_000), end - 1);
  return { signedAt: start * 1_000, seconds: Math.min(end - start, LONGEST_SECONDS) };
}

/** The hash that the signer is built on: several times as fast as the portable one that comes with it. */
export class NodeSha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret));
  }

  update(data: Uint8Array): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    throw new Error('a hash is used once');
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): string | Uint8Array {
  if (typeof data === 'string') return data;
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}

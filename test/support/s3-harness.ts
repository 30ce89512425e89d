import { randomBytes } from 'node:crypto';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import type { DownloadOptions, SignedRequest } from '../../src/blobs/blob-store.ts';
import { realFileLayer } from '../../src/blobs/file-layer.ts';
import type { S3Options, S3StoreOptions } from '../../src/blobs/s3/options.ts';
import { probeBackend } from '../../src/blobs/s3/probe.ts';
import type { ProbeReport } from '../../src/blobs/s3/probe-report.ts';
import { openS3Store } from '../../src/blobs/s3/s3-store.ts';
import { openSpool } from '../../src/blobs/spool.ts';
import type { BlobStoreHarness } from './blob-check.ts';
import { type S3Server, s3Client } from './s3-server.ts';

export function freshBucketName(): string {
  return `store-${randomBytes(6).toString('hex')}`;
}

export async function createBucket(server: S3Server, bucket = freshBucketName()): Promise<string> {
  const client = s3Client(server);
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    return bucket;
  } finally {
    client.destroy();
  }
}

export function s3Options(server: S3Server, bucket: string, change: Partial<S3Options> = {}): S3Options {
  return {
    endpoint: server.endpoint,
    publicEndpoint: null,
    region: server.region,
    bucket,
    prefix: null,
    forcePathStyle: true,
    credentials: server.credentials,
    uploadCredentials: null,
    clock: Date.now,
    ...change,
  };
}

/** A store on the bucket, with what a probe finds there (or has found). @param dir where it spools */
export async function openS3Harness(
  options: S3Options,
  dir: string,
  change: Partial<S3StoreOptions> = {},
  known?: ProbeReport,
): Promise<BlobStoreHarness & { report: ProbeReport }> {
  const report = known ?? (await probeBackend(options));
  const spool = openSpool(realFileLayer, async () => dir);
  const selfServed = ({ objectId, expiresAt }: DownloadOptions): SignedRequest => ({
    method: 'GET',
    url: `service:${objectId}`,
    headers: {},
    expiresAt,
  });
  const own = { spool, verify: 'auto', report: () => report, probeAgain: async () => {}, selfServed } as const;
  const store = openS3Store({ ...options, ...own, ...change });
  return { store, spool, report, close: () => store.close() };
}

import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { CEPH, type Ceph, startCeph } from './ceph.ts';
import type { Requirement } from './required.ts';
import type { S3Server } from './s3-place.ts';

export type { S3Keys, S3Server } from './s3-place.ts';

const PREFIX = 'ARTIFACT_STORE_TEST_S3_';

const NEED = {
  what: 'an S3 server',
  how: `Install Ceph (test/support/ceph.ts), or name a server: ${PREFIX}ENDPOINT, ${PREFIX}ACCESS_KEY_ID, ${PREFIX}SECRET_ACCESS_KEY, and a key that may only write in ${PREFIX}UPLOAD_ACCESS_KEY_ID and ${PREFIX}UPLOAD_SECRET_ACCESS_KEY.`,
};

/** The server of ARTIFACT_STORE_TEST_S3_ENDPOINT, or a Ceph that others use too. For suites that only use buckets of their own. */
export const S3: Requirement<S3Server> = { ...NEED, start: () => givenOr(CEPH.start) };

/** The server of ARTIFACT_STORE_TEST_S3_ENDPOINT, or a Ceph of our own, which may be killed. */
export const OWN_S3: Requirement<S3Server | Ceph> = { ...NEED, start: () => givenOr(startCeph) };

async function givenOr<Started extends S3Server>(start: () => Promise<Started>): Promise<S3Server | Started> {
  const endpoint = process.env[`${PREFIX}ENDPOINT`];
  return endpoint ? given(endpoint) : start();
}

async function given(endpoint: string): Promise<S3Server> {
  return {
    endpoint,
    region: process.env[`${PREFIX}REGION`] || 'us-east-1',
    credentials: { accessKeyId: named('ACCESS_KEY_ID'), secretAccessKey: named('SECRET_ACCESS_KEY') },
    uploadCredentials: {
      accessKeyId: named('UPLOAD_ACCESS_KEY_ID'),
      secretAccessKey: named('UPLOAD_SECRET_ACCESS_KEY'),
    },
    collectGarbage: async () => {},
    stop: async () => {},
  };
}

function named(name: string): string {
  const value = process.env[PREFIX + name];
  if (!value) throw new Error(`${PREFIX}${name} is not set`);
  return value;
}

export function s3Client(
  { endpoint, region, credentials }: S3Server,
  change: Pick<S3ClientConfig, 'maxAttempts'> = {},
): S3Client {
  return new S3Client({
    endpoint,
    region,
    credentials,
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...change,
  });
}

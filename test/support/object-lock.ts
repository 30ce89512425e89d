import {
  CreateBucketCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { ExecutionContext } from 'ava';
import type { LockMode } from '../../src/core/object-lock.ts';
import { type Api, apiOf } from './api.ts';
import { s3Env } from './s3-env.ts';
import { freshBucketName } from './s3-harness.ts';
import type { S3Server } from './s3-server.ts';
import { startTestService, type TestService, type TestServiceOptions } from './service.ts';

/** A service that locks what packages need, and its bucket. */
export interface LockPlace {
  service: TestService;
  api: Api;
  bucket: string;
  /** Locks under a prefix; left out: of blobs. */
  locks(prefix?: string): Promise<SeenLock[]>;
}

const NEVER_MS = 1e9;

/** @param bucket left out: a new one @param options how it is started otherwise; it tells storage of what was left untold when it starts */
export async function startLocking(
  t: ExecutionContext,
  server: S3Server,
  client: S3Client,
  { mode = 'governance', bucket, ...options }: TestServiceOptions & { mode?: LockMode; bucket?: string } = {},
): Promise<LockPlace> {
  const name = bucket ?? (await createLockBucket(client));
  const env = { ...s3Env(server, name), ARTIFACT_STORE_S3_OBJECT_LOCK: mode, ARTIFACT_STORE_SWEEP_GRACE: '0s' };
  const service = await startTestService({ locksInterval: NEVER_MS, ...options, env: { ...env, ...options.env } });
  t.teardown(() => service.dispose());
  const locks = (prefix = 'objects/') => locksOf(client, name, prefix);
  return { service, api: apiOf(service.url), bucket: name, locks };
}

/** ms; NaN: never. */
export async function expiryOf(api: Api, id: string): Promise<number> {
  return Date.parse((await api.get(`/v1/packages/${id}/retention`)).body.expires_at);
}

/** What a bucket says of the lock of an object's first version. */
export interface SeenLock {
  key: string;
  versionId: string;
  until: number | null;
  mode: string | null;
  held: boolean;
}

/** A bucket with Object Lock, which nothing can give to it later. What is locked in it stays until the server goes. */
export async function createLockBucket(client: S3Client): Promise<string> {
  const Bucket = freshBucketName();
  await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: true }));
  return Bucket;
}

/** All versions and marks under a prefix, the newest of a key first. */
export async function versionsOf(
  client: S3Client,
  Bucket: string,
  Prefix = '',
): Promise<Array<{ Key: string; VersionId: string; isMark: boolean }>> {
  const { Versions = [], DeleteMarkers = [] } = await client.send(new ListObjectVersionsCommand({ Bucket, Prefix }));
  return [
    ...Versions.map(({ Key = '', VersionId = '' }) => ({ Key, VersionId, isMark: false })),
    ...DeleteMarkers.map(({ Key = '', VersionId = '' }) => ({ Key, VersionId, isMark: true })),
  ];
}

/** Of each version that stands under a prefix. */
export async function locksOf(client: S3Client, Bucket: string, prefix: string): Promise<SeenLock[]> {
  const versions = (await versionsOf(client, Bucket, prefix)).filter(({ isMark }) => !isMark);
  return Promise.all(
    versions.map(async ({ Key, VersionId }) => {
      const seen = await client.send(new HeadObjectCommand({ Bucket, Key, VersionId }));
      return {
        key: Key,
        versionId: VersionId,
        until: seen.ObjectLockRetainUntilDate?.getTime() ?? null,
        mode: seen.ObjectLockMode ?? null,
        held: seen.ObjectLockLegalHoldStatus === 'ON',
      };
    }),
  );
}

/** What somebody does who may bypass governance. @param until ms */
export async function relock(
  client: S3Client,
  Bucket: string,
  lock: SeenLock | undefined,
  until: number,
): Promise<void> {
  const Retention = { Mode: 'GOVERNANCE', RetainUntilDate: new Date(until) } as const;
  const named = { Bucket, Key: lock?.key, VersionId: lock?.versionId };
  await client.send(new PutObjectRetentionCommand({ ...named, BypassGovernanceRetention: true, Retention }));
}

/** What somebody does who only knows a bucket. */
export async function hideAll(client: S3Client, Bucket: string): Promise<number> {
  const keys = new Set((await versionsOf(client, Bucket)).map(({ Key }) => Key));
  for (const Key of keys) await client.send(new DeleteObjectCommand({ Bucket, Key }));
  return keys.size;
}

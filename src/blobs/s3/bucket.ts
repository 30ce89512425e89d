import { HeadBucketCommand } from '@aws-sdk/client-s3';
import { StoreError } from '../../core/errors.ts';
import type { ObjectRef } from '../blob-store.ts';
import type { ObjectKey } from '../key-layout.ts';
import type { S3Access } from './access.ts';
import type { S3StoreOptions } from './options.ts';
import { asking, isNoSuchObject, refusalOf } from './s3-errors.ts';

/** The bucket as the store asks it. */
export interface Bucket {
  readonly access: S3Access;
  /** What a request about an object names. */
  named(key: ObjectKey): { Bucket: string; Key: string };
  /** The same of one version, where it is known. */
  version(ref: ObjectRef): { Bucket: string; Key: string; VersionId?: string };
  /** Does the work. @param doing what an error says was being done @throws StoreError for what storage answers */
  ask<Result>(doing: string, work: () => Promise<Result>): Promise<Result>;
  /** @param patience ms; left out: what the client has @throws StoreError unavailable: it does not exist, or does not answer */
  assertExists(patience?: number): Promise<void>;
  /** Whether bytes that storage took need not be read back. */
  isBelieved(): boolean;
}

export function bucketOf(access: S3Access, { verify, report }: Pick<S3StoreOptions, 'verify' | 'report'>): Bucket {
  const { bucket, client, names } = access;
  const named = (key: ObjectKey): { Bucket: string; Key: string } => ({ Bucket: bucket, Key: names.toName(key) });
  return {
    access,
    named,
    version: ({ key, versionId }) => ({ ...named(key), ...(versionId === null ? {} : { VersionId: versionId }) }),
    ask: (doing, work) => asking(bucket, doing, work),
    isBelieved: () => verify === 'auto' && (report()?.enforcing ?? false),
    async assertExists(patience) {
      const abortSignal = patience === undefined ? undefined : AbortSignal.timeout(patience);
      try {
        await client.send(new HeadBucketCommand({ Bucket: bucket }), { abortSignal });
      } catch (error) {
        if (abortSignal?.aborted) {
          const detail = `The storage did not answer within ${patience} ms.`;
          throw new StoreError('unavailable', detail, { storage_code: 'ETIMEDOUT' }, { cause: error });
        }
        if (!isNoSuchObject(error) && refusalOf(error)?.status !== 404) throw error;
        throw new StoreError(
          'unavailable',
          `The bucket ${JSON.stringify(bucket)} does not exist: create it, or correct ARTIFACT_STORE_S3_BUCKET.`,
          { storage_code: 'NoSuchBucket' },
          { cause: error },
        );
      }
    },
  };
}

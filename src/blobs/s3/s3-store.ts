import { together } from '../../core/together.ts';
import type { BlobStore } from '../blob-store.ts';
import { openAccess } from './access.ts';
import { bucketOf } from './bucket.ts';
import { checkBucketHealth } from './health.ts';
import { objectLocks } from './object-locks.ts';
import { bucketObjects } from './objects.ts';
import type { S3StoreOptions } from './options.ts';
import { multipartUploads } from './uploads.ts';

/** Whoever checks whether storage responds wants to know it now. */
const HEALTH_PATIENCE_MS = 5_000;

/** A bucket of an S3 server. No I/O until it is used. @throws TypeError, RangeError for options that cannot be */
export function openS3Store(options: S3StoreOptions): BlobStore {
  const { report, probeAgain, verify, objectLock = 'off' } = options;
  const access = openAccess(options);
  const bucket = bucketOf(access, options);
  const objects = bucketObjects(bucket, options);
  const look = () =>
    checkBucketHealth(access, report(), verify, () =>
      bucket.ask('looking at the bucket', () => bucket.assertExists(HEALTH_PATIENCE_MS)),
    );
  // Strangers may ask, and each time the bucket is asked.
  const lookTogether = together(look);
  return {
    kind: 's3',
    objects,
    locks: objectLock === 'off' ? null : objectLocks(bucket, objectLock),
    uploads: multipartUploads(bucket, options, objects.remove),

    async health(afresh = false) {
      if (!afresh) return lookTogether();
      await probeAgain();
      return look();
    },

    async close() {
      access.close();
    },
  };
}

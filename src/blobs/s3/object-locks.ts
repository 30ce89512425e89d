import {
  HeadObjectCommand,
  type HeadObjectCommandInput,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import type { LockMode, ObjectLock } from '../../core/object-lock.ts';
import type { ObjectLocks, ObjectRef } from '../blob-store.ts';
import type { Bucket } from './bucket.ts';
import { isNoSuchObject, refusalOf } from './s3-errors.ts';

/** Locks of objects in a bucket that was made with Object Lock. @param mode of objects that are locked for the first time */
export function objectLocks(bucket: Bucket, mode: LockMode): ObjectLocks {
  const { access, ask } = bucket;

  async function put(ref: ObjectRef, until: number, by: LockMode): Promise<void> {
    const Mode = by === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE';
    const Retention = { Mode, RetainUntilDate: new Date(until) } as const;
    await access.client.send(new PutObjectRetentionCommand({ ...bucket.version(ref), Retention }));
  }

  return {
    mode,

    /** Asked for without looking first: mostly it is taken. */
    async retain(ref, until) {
      await ask(`locking ${ref.key} until ${new Date(until).toISOString()}`, async () => {
        try {
          await put(ref, until, mode);
        } catch (error) {
          const status = refusalOf(error)?.status;
          const stands = status === 403 || status === 400 ? await readLock(bucket, bucket.version(ref)) : null;
          if (stands === null) throw error;
          if ((stands.until ?? 0) >= until) return;
          // S3 changes no mode without a right that the service is not to have.
          if (stands.mode === null || stands.mode === mode) throw error;
          await put(ref, until, stands.mode);
        }
      });
    },

    async hold(ref, on) {
      const LegalHold = { Status: on ? 'ON' : 'OFF' } as const;
      const command = new PutObjectLegalHoldCommand({ ...bucket.version(ref), LegalHold });
      await ask(`${on ? 'holding' : 'lifting the hold of'} ${ref.key}`, () => access.client.send(command));
    },

    read: (ref) => readLock(bucket, bucket.version(ref)),
  };
}

/** One HEAD says all of it. @returns null: there is no such object @throws StoreError unavailable */
export function readLock(bucket: Bucket, named: Omit<HeadObjectCommandInput, 'Bucket'>): Promise<ObjectLock | null> {
  const { access, ask } = bucket;
  return ask(`looking at the lock of ${named.Key}`, async () => {
    try {
      const seen = await access.client.send(new HeadObjectCommand({ ...named, Bucket: access.bucket }));
      const until = seen.ObjectLockRetainUntilDate?.getTime() ?? null;
      const mode = seen.ObjectLockMode === undefined ? null : MODES[seen.ObjectLockMode];
      return { until, mode, held: seen.ObjectLockLegalHoldStatus === 'ON' };
    } catch (error) {
      if (!isNoSuchObject(error)) throw error;
      await bucket.assertExists();
      return null;
    }
  });
}

const MODES = { COMPLIANCE: 'compliance', GOVERNANCE: 'governance' } as const;

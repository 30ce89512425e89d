import type { Finding } from '../blob-store.ts';
import type { SeenLock } from './trial.ts';

const MAKE =
  'Make a bucket with Object Lock (it cannot be added to one on Ceph: `aws s3api create-bucket --object-lock-enabled-for-bucket`)';

/** What a bucket does about locks, in words for operators. */
export function lockFindings({ wanted, enabled, byDefault }: SeenLock): Finding[] {
  return [objectLock(wanted, enabled), ...(enabled === true ? [defaultRetention(byDefault)] : [])];
}

function objectLock(wanted: SeenLock['wanted'], enabled: SeenLock['enabled']): Finding {
  const about = { guarantee: 'object_lock' } as const;
  const said = (held: boolean, weight: Finding['weight'], says: string, advice: string | null): Finding => ({
    ...about,
    held,
    weight,
    short: says,
    says,
    advice,
  });
  if (wanted === 'off') {
    const says =
      enabled === true
        ? 'The bucket was made with Object Lock, and ARTIFACT_STORE_S3_OBJECT_LOCK is off: objects are not locked.'
        : enabled === false
          ? 'The bucket was made without Object Lock: whoever has a key that may delete can remove objects before their time.'
          : 'The bucket does not say whether it has Object Lock.';
    const advice =
      enabled === true ? 'Set it to governance or compliance (docs/storage-ceph-s3.md, Object Lock).' : null;
    return said(false, 'note', says, advice);
  }
  if (enabled === true) {
    return said(true, 'note', `Objects that packages need are locked in storage (${wanted}).`, null);
  }
  if (enabled === false) {
    const says = `ARTIFACT_STORE_S3_OBJECT_LOCK is ${wanted}, but the bucket was made without Object Lock: no package can be finalized.`;
    return said(false, 'failure', says, `${MAKE}, or set the variable to off.`);
  }
  const says = `ARTIFACT_STORE_S3_OBJECT_LOCK is ${wanted}, but the bucket does not say whether it has Object Lock.`;
  return said(false, 'warning', says, 'Give the key s3:GetBucketObjectLockConfiguration.');
}

function defaultRetention(byDefault: string | null): Finding {
  const about = { guarantee: 'no_default_retention', weight: 'warning' } as const;
  if (byDefault === null) {
    const says = 'The bucket has no default retention: only what packages need is locked.';
    return { ...about, held: true, short: says, says, advice: null };
  }
  const short =
    'The bucket has a default retention: uploads that failed and what probes write are locked too, and stay.';
  const says = `${short} (${byDefault})`;
  const advice = 'Remove it from the bucket: the service locks each object for as long as packages need it.';
  return { ...about, held: false, short, says, advice };
}

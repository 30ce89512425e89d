import { DeleteObjectCommand, DeleteObjectsCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { StoreError } from '../../core/errors.ts';
import { isLocked } from '../../core/object-lock.ts';
import type { LockedObject, ObjectRef } from '../blob-store.ts';
import type { Bucket } from './bucket.ts';
import { readLock } from './object-locks.ts';
import { isNoSuchObject, refusalOf } from './s3-errors.ts';

/** As many as S3 takes in a request. */
const AT_ONCE = 1_000;

/** An object by its name in the bucket, and one version of it; without: the newest. */
interface Named {
  Key: string;
  VersionId?: string;
}

/** What became of some of those that were to be removed. */
interface Outcome {
  /** Names of those that a mark hides now. */
  hidden: string[];
  locked: Array<{ name: Named; until: number | null }>;
}

/**
 * Removes objects, a thousand in a request. In a versioned bucket a DELETE without a version only hides an object: then all of its
 * versions are removed, a request for each key more, for its key is of nothing else. One that is locked keeps none of the others.
 * @returns those that are locked @throws StoreError unavailable
 */
export async function removeObjects(bucket: Bucket, refs: readonly ObjectRef[]): Promise<LockedObject[]> {
  const byName = new Map<string, ObjectRef>();
  const names = refs.map((ref): Named => {
    const { Key } = bucket.named(ref.key);
    byName.set(`${Key} ${ref.versionId ?? ''}`, ref);
    return ref.versionId === null ? { Key } : { Key, VersionId: ref.versionId };
  });
  const stay: LockedObject[] = [];
  for (let start = 0; start < names.length; start += AT_ONCE) {
    const { hidden, locked } = await remove(bucket, names.slice(start, start + AT_ONCE));
    for (const { name, until } of locked) {
      const ref = byName.get(`${name.Key} ${name.VersionId ?? ''}`);
      if (ref !== undefined) stay.push({ ...ref, until });
    }
    for (const name of hidden) {
      const ref = byName.get(`${name} `);
      for (const { until } of await removeVersions(bucket, name)) if (ref !== undefined) stay.push({ ...ref, until });
    }
  }
  return stay;
}

/** The same of one. @returns false: it is locked @throws StoreError unavailable */
export async function removeObject(bucket: Bucket, ref: ObjectRef): Promise<boolean> {
  const { access, ask } = bucket;
  const named = bucket.version(ref);
  const hidden = await ask(`removing ${ref.key}`, async () => {
    try {
      const { DeleteMarker = false } = await access.client.send(new DeleteObjectCommand(named));
      return DeleteMarker && ref.versionId === null;
    } catch (error) {
      if (isNoSuchObject(error)) return false;
      // Whoever may not remove gets the same answer as for what is locked.
      const lock = refusalOf(error)?.code === 'AccessDenied' ? await readLock(bucket, named) : null;
      if (lock === null || !isLocked(lock, access.clock())) throw error;
      return 'locked';
    }
  });
  if (hidden === 'locked') return false;
  return !hidden || (await removeVersions(bucket, named.Key)).length === 0;
}

/** @throws StoreError unavailable when one stays that is not locked */
async function remove(bucket: Bucket, names: readonly Named[]): Promise<Outcome> {
  const { access, ask } = bucket;
  const command = new DeleteObjectsCommand({ Bucket: access.bucket, Delete: { Objects: [...names] } });
  const { Deleted = [], Errors = [] } = await ask('removing objects', () => access.client.send(command));
  const locked: Outcome['locked'] = [];
  for (const { Key = '', VersionId, Code, Message } of Errors) {
    if (Code === 'NoSuchKey' || Code === 'NoSuchVersion') continue;
    const name = VersionId ? { Key, VersionId } : { Key };
    const lock = Code === 'AccessDenied' && VersionId ? await readLock(bucket, name) : null;
    if (lock === null || !isLocked(lock, access.clock())) {
      throw new StoreError('unavailable', `The storage did not remove ${Key}: ${Code} ${Message ?? ''}`.trim());
    }
    locked.push({ name, until: lock.held ? null : lock.until });
  }
  const newest = new Set(names.filter(({ VersionId }) => VersionId === undefined).map(({ Key }) => Key));
  const hidden = Deleted.flatMap(({ Key, DeleteMarker }) => (DeleteMarker && Key && newest.has(Key) ? [Key] : []));
  return { hidden, locked };
}

/** The marks that hide it go last, and stay if one of its versions is locked. @returns the locked ones */
async function removeVersions(bucket: Bucket, name: string): Promise<Outcome['locked']> {
  const { access, ask } = bucket;
  const locked: Outcome['locked'] = [];
  for (;;) {
    const command = new ListObjectVersionsCommand({ Bucket: access.bucket, Prefix: name });
    const page = await ask(`listing the versions of ${name}`, () => access.client.send(command));
    const of = (listed: ReadonlyArray<{ Key?: string | undefined; VersionId?: string | undefined }> = []) =>
      listed.flatMap(({ Key, VersionId }) => (Key === name && VersionId ? [{ Key, VersionId }] : []));
    const kept = new Set(locked.map((each) => each.name.VersionId));
    const versions = of(page.Versions).filter(({ VersionId }) => !kept.has(VersionId));
    const marks = kept.size > 0 ? [] : of(page.DeleteMarkers);
    if (versions.length > 0) locked.push(...(await remove(bucket, versions)).locked);
    else if (marks.length > 0) await remove(bucket, marks);
    else return locked;
  }
}

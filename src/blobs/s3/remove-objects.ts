import { DeleteObjectsCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { StoreError } from '../../core/errors.ts';
import type { ObjectRef } from '../blob-store.ts';
import type { Bucket } from './bucket.ts';

/** As many as S3 takes in a request. */
const AT_ONCE = 1_000;

/** An object by its name in the bucket, and one version of it; without: the newest. */
interface Named {
  Key: string;
  VersionId?: string;
}

/**
 * Removes objects, a thousand in a request. In a versioned bucket a DELETE without a version only hides an object: then all of its
 * versions are removed, a request for each key more, for its key is of nothing else. @throws StoreError unavailable
 */
export async function removeObjects(bucket: Bucket, refs: readonly ObjectRef[]): Promise<void> {
  const names = refs.map(({ key, versionId }): Named => {
    const { Key } = bucket.named(key);
    return versionId === null ? { Key } : { Key, VersionId: versionId };
  });
  for (let start = 0; start < names.length; start += AT_ONCE) {
    const hidden = await remove(bucket, names.slice(start, start + AT_ONCE));
    for (const name of hidden) await removeVersions(bucket, name);
  }
}

/** @returns the names of those that were only hidden */
async function remove({ access, ask }: Bucket, names: readonly Named[]): Promise<string[]> {
  const command = new DeleteObjectsCommand({ Bucket: access.bucket, Delete: { Objects: [...names] } });
  const { Deleted = [], Errors = [] } = await ask('removing objects', () => access.client.send(command));
  const [failed] = Errors.filter(({ Code }) => Code !== 'NoSuchKey' && Code !== 'NoSuchVersion');
  if (failed !== undefined) {
    const { Key, Code, Message } = failed;
    throw new StoreError('unavailable', `The storage did not remove ${Key}: ${Code} ${Message ?? ''}`.trim());
  }
  const newest = new Set(names.filter(({ VersionId }) => VersionId === undefined).map(({ Key }) => Key));
  return Deleted.flatMap(({ Key, DeleteMarker }) => (DeleteMarker && Key && newest.has(Key) ? [Key] : []));
}

/** The mark that hides it too. */
async function removeVersions(bucket: Bucket, name: string): Promise<void> {
  const { access, ask } = bucket;
  for (;;) {
    const command = new ListObjectVersionsCommand({ Bucket: access.bucket, Prefix: name });
    const page = await ask(`listing the versions of ${name}`, () => access.client.send(command));
    const versions = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].flatMap(({ Key, VersionId }) =>
      Key === name && VersionId ? [{ Key, VersionId }] : [],
    );
    if (versions.length === 0) return;
    await remove(bucket, versions);
  }
}

import { ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import type { ObjectStat } from '../blob-store.ts';
import type { ObjectKey } from '../key-layout.ts';
import type { Bucket } from './bucket.ts';
import { versionIdOf } from './version-id.ts';

type Listed = ObjectStat & { key: ObjectKey };

/** What is read without naming a version. Which version it is S3 does not say here. */
export async function* listNewest({ access, ask }: Bucket, prefix: string): AsyncGenerator<Listed> {
  const { bucket, client, names } = access;
  let token: string | undefined;
  do {
    const command: ListObjectsV2Command = new ListObjectsV2Command({
      Bucket: bucket,
      Prefix: names.toNamePrefix(prefix),
      ...(token === undefined ? {} : { ContinuationToken: token }),
    });
    const page = await ask(doing(prefix), () => client.send(command));
    for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
      const key = names.toKey(Key);
      if (key !== null) yield { key, versionId: null, size: Size, modifiedAt: LastModified?.getTime() ?? 0 };
    }
    token = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}

/**
 * Of each key the first version: no key is used again, so it is ours, whatever somebody put over it. A mark that hides it is passed over.
 * S3 lists keys in order, and of each the newest version first.
 */
export async function* listVersions({ access, ask }: Bucket, prefix: string): AsyncGenerator<Listed> {
  const { bucket, client, names } = access;
  let marker: { KeyMarker?: string; VersionIdMarker?: string } | null = {};
  let found = null as Listed | null;
  while (marker !== null) {
    const command: ListObjectVersionsCommand = new ListObjectVersionsCommand({
      Bucket: bucket,
      Prefix: names.toNamePrefix(prefix),
      ...marker,
    });
    const page = await ask(doing(prefix), () => client.send(command));
    for (const { Key = '', VersionId, Size = 0, LastModified } of page.Versions ?? []) {
      const key = names.toKey(Key);
      if (key === null) continue;
      if (found !== null && found.key !== key) yield found;
      found = { key, versionId: versionIdOf(VersionId), size: Size, modifiedAt: LastModified?.getTime() ?? 0 };
    }
    const { NextKeyMarker = '', NextVersionIdMarker = '' } = page;
    marker = page.IsTruncated ? { KeyMarker: NextKeyMarker, VersionIdMarker: NextVersionIdMarker } : null;
  }
  if (found !== null) yield found;
}

function doing(prefix: string): string {
  return `listing ${JSON.stringify(prefix.slice(0, 200))}`;
}

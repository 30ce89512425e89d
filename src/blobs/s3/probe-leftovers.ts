import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
} from '@aws-sdk/client-s3';
import { PROBE_PREFIX } from '../key-layout.ts';
import { openAccess, type S3Access } from './access.ts';
import type { S3Options } from './options.ts';
import { asking, refusalOf } from './s3-errors.ts';

const HOUR_MS = 3_600_000;
/** No probe takes so long: what is older is of one that died. */
const OBJECTS_AFTER_MS = HOUR_MS;
/**
 * An Abort beside a Complete destroys on Ceph what the Complete makes. A probe sends its one Complete minutes after it
 * opened the upload, so after two hours none can have been sent within the last one. And should a process have been frozen
 * in between: what is destroyed is the object of this upload alone, under a key of chance that is never used again and
 * that no registry names. For objects that anybody needs no such rule is good enough: theirs are never aborted so.
 */
const UPLOADS_AFTER_MS = 2 * HOUR_MS;

/**
 * Removes what probes that died have left: objects in all their versions, delete markers, open uploads. Nothing else begins
 * with the same prefix. @param signal ends it where it is @returns how many @throws StoreError when storage does not answer, or does not
 * let its key list them
 */
export async function removeLeftovers(options: S3Options, signal?: AbortSignal): Promise<number> {
  signal?.throwIfAborted();
  const access = openAccess(options);
  signal?.addEventListener('abort', access.close, { once: true });
  try {
    return await asking(options.bucket, 'removing what old probes left', async () => {
      return (await removeObjects(access)) + (await abortUploads(access));
    });
  } finally {
    signal?.removeEventListener('abort', access.close);
    access.close();
  }
}

async function removeObjects({ bucket, client, names, clock }: S3Access): Promise<number> {
  let removed = 0;
  let marker: { KeyMarker?: string; VersionIdMarker?: string } | null = {};
  while (marker !== null) {
    const command: ListObjectVersionsCommand = new ListObjectVersionsCommand({
      Bucket: bucket,
      Prefix: names.toNamePrefix(PROBE_PREFIX),
      ...marker,
    });
    const page = await client.send(command);
    for (const { Key = '', VersionId, LastModified } of [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]) {
      if (names.toKey(Key) === null || !isOlder(LastModified, clock() - OBJECTS_AFTER_MS)) continue;
      // Where the bucket has a default retention, it is locked: a later start removes it.
      const isRemoved = await client.send(new DeleteObjectCommand({ Bucket: bucket, Key, VersionId })).then(
        () => true,
        (error: unknown) => {
          if (refusalOf(error)?.code !== 'AccessDenied') throw error;
          return false;
        },
      );
      if (isRemoved) removed += 1;
    }
    marker = page.IsTruncated
      ? { KeyMarker: page.NextKeyMarker ?? '', VersionIdMarker: page.NextVersionIdMarker ?? '' }
      : null;
  }
  return removed;
}

async function abortUploads({ bucket, client, names, clock }: S3Access): Promise<number> {
  let aborted = 0;
  let marker: { KeyMarker?: string; UploadIdMarker?: string } | null = {};
  while (marker !== null) {
    const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({
      Bucket: bucket,
      Prefix: names.toNamePrefix(PROBE_PREFIX),
      ...marker,
    });
    const page = await client.send(command);
    for (const { Key = '', UploadId, Initiated } of page.Uploads ?? []) {
      if (names.toKey(Key) === null || !isOlder(Initiated, clock() - UPLOADS_AFTER_MS)) continue;
      await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }));
      aborted += 1;
    }
    marker = page.IsTruncated
      ? { KeyMarker: page.NextKeyMarker ?? '', UploadIdMarker: page.NextUploadIdMarker ?? '' }
      : null;
  }
  return aborted;
}

/** What has no date is left alone. */
function isOlder(date: Date | undefined, than: number): boolean {
  return date !== undefined && date.getTime() < than;
}

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import { type Digest, digestFromBytes } from '../../core/digest.ts';
import { StoreError } from '../../core/errors.ts';
import type { ByteRange, ObjectRef, ObjectStat, Objects } from '../blob-store.ts';
import type { ObjectKey } from '../key-layout.ts';
import type { Spooled } from '../spool.ts';
import { OWN_URL_MS } from './access.ts';
import type { Bucket } from './bucket.ts';
import { signDownload } from './downloads.ts';
import { listNewest, listVersions } from './list-bucket.ts';
import type { S3StoreOptions } from './options.ts';
import { bodyHeaders } from './part-requests.ts';
import { removeObject, removeObjects } from './remove-objects.ts';
import { isNoSuchObject, refusalOf } from './s3-errors.ts';
import { sendFile } from './send.ts';
import { versionIdOf } from './version-id.ts';

/** How long one of two requests that write the same object waits for the other. */
const CONTENTION_MS = 250;

/** Objects of a bucket. */
export function bucketObjects(
  bucket: Bucket,
  {
    spool,
    report,
    selfServed,
    objectLock = 'off',
  }: Pick<S3StoreOptions, 'spool' | 'report' | 'selfServed' | 'objectLock'>,
): Objects {
  const { access, ask } = bucket;
  const { agent, client, clock, internal, names, signing } = access;

  function open(ref: ObjectRef, range?: ByteRange): Promise<Readable> {
    return ask(`opening ${ref.key}`, async () => {
      if (range?.size === 0) return Readable.from([]);
      const command = new GetObjectCommand({
        ...bucket.version(ref),
        ...(range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.size - 1}` }),
      });
      const { Body, ContentLength } = await client.send(command);
      const body = Body as Readable;
      if (range !== undefined && ContentLength !== range.size) {
        body.destroy();
        const detail = `${ref.key} does not have ${range.size} bytes at ${range.offset}.`;
        throw new StoreError('range_not_satisfiable', detail);
      }
      return body;
    });
  }

  function stat(ref: ObjectRef): Promise<ObjectStat | null> {
    return ask(`looking at ${ref.key}`, async () => {
      const command = new HeadObjectCommand(bucket.version(ref));
      try {
        const { ContentLength = 0, LastModified, VersionId } = await client.send(command);
        return { versionId: versionIdOf(VersionId), size: ContentLength, modifiedAt: LastModified?.getTime() ?? 0 };
      } catch (error) {
        if (!isNoSuchObject(error)) throw error;
        // A HEAD says 404 of an object and of a bucket alike.
        await bucket.assertExists();
        return null;
      }
    });
  }

  /** Contended: another request writes it just now, and nobody knows whether it will stand. */
  async function writeOnce(key: ObjectKey, spooled: Spooled): Promise<Written> {
    // If-None-Match is ignored by some servers and on versioned buckets: look first.
    const standing = await stat({ key, versionId: null });
    if (standing !== null) return { outcome: 'stands', versionId: standing.versionId };
    const name = names.toName(key);
    const headers = { ...bodyHeaders(spooled, false), 'if-none-match': '*' };
    const sign = () => signing({ method: 'PUT', address: internal, name, headers, expiresAt: clock() + OWN_URL_MS });
    return ask(`writing ${key}`, async () => {
      try {
        const { headers } = await sendFile(sign, { file: spooled.file, offset: 0, size: spooled.size }, agent);
        return { outcome: 'written', versionId: versionIdOf(headers['x-amz-version-id'] as string | undefined) };
      } catch (error) {
        const status = refusalOf(error)?.status;
        // Only a bucket without versions refuses so.
        if (status === 412) return { outcome: 'stands', versionId: null };
        if (status === 409) return { outcome: 'contended', versionId: null };
        throw error;
      }
    });
  }

  async function digestOf(ref: ObjectRef): Promise<Digest> {
    const hash = createHash('sha256');
    for await (const chunk of await open(ref)) hash.update(chunk as Uint8Array);
    return digestFromBytes(hash.digest());
  }

  return {
    open,
    stat,

    async signDownload(ref, download) {
      // Next to the range stand bytes that the caller may not read.
      const enforced = report()?.held.download_range_enforced ?? false;
      if (download.range !== undefined && !enforced) return selfServed(download);
      return signDownload(access, ref, download);
    },

    async write(key, bytes) {
      const spooled = await spool.receive(bytes);
      try {
        const { size, digest } = spooled;
        let { outcome, versionId } = await writeOnce(key, spooled);
        if (outcome === 'contended') {
          // The concurrent writer may have failed too: AWS recommends a retry.
          await sleep(CONTENTION_MS);
          ({ outcome, versionId } = await writeOnce(key, spooled));
        }
        if (outcome === 'contended') {
          throw new StoreError('unavailable', `Somebody else is writing ${key} just now: try again in a moment.`);
        }
        if (outcome === 'written' && bucket.isBelieved()) return { size, digest, versionId };
        const standing = await digestOf({ key, versionId });
        if (standing === digest) return { size, digest, versionId };
        throw new StoreError('integrity_failure', `${key} already exists with ${standing}, not ${digest}.`, {
          expected_digest: digest,
          actual_digest: standing,
        });
      } finally {
        await spooled.discard();
      }
    },

    remove: (ref) => removeObject(bucket, ref),

    removeMany: (refs) => removeObjects(bucket, refs),

    list: (prefix) => (objectLock === 'off' ? listNewest : listVersions)(bucket, prefix),
  };
}

/** What became of a request that writes an object. */
interface Written {
  outcome: 'written' | 'stands' | 'contended';
  versionId: string | null;
}

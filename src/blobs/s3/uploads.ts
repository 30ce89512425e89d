import { lstat } from 'node:fs/promises';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandOutput,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
} from '@aws-sdk/client-s3';
import { StoreError } from '../../core/errors.ts';
import type { PlannedPart } from '../../core/part-plan.ts';
import type {
  BegunUpload,
  MaybeNamedUpload,
  Objects,
  ReceivedPart,
  SignedRequest,
  UploadHandle,
  Uploads,
} from '../blob-store.ts';
import { OBJECTS_PREFIX, type ObjectKey } from '../key-layout.ts';
import { checkedChunks } from '../part-rules.ts';
import { OWN_URL_MS } from './access.ts';
import type { Bucket } from './bucket.ts';
import type { S3StoreOptions } from './options.ts';
import { checksumOf, partRequest } from './part-requests.ts';
import { isNoSuchObject, isNoSuchUpload } from './s3-errors.ts';
import { sendFile, sendStream } from './send.ts';
import { formatUploadName, namesOf, parseUploadName } from './upload-name.ts';
import { versionIdOf } from './version-id.ts';

/** Uploads as S3's multipart uploads. @param removeObject of what a completed one has made */
export function multipartUploads(
  bucket: Bucket,
  { report }: Pick<S3StoreOptions, 'report'>,
  removeObject: Objects['remove'],
): Uploads {
  const { access, ask, named } = bucket;
  const { agent, client, clock, internal, loneAgent, names, once, signing, uploadSigning } = access;

  function uploadNamed({ key, storageUploadId }: UploadHandle): { Bucket: string; Key: string; UploadId: string } {
    return { ...named(key), UploadId: parseUploadName(storageUploadId).s3Id };
  }

  /** @throws StoreError upload_closed */
  async function sendPart(
    upload: UploadHandle,
    part: PlannedPart,
    deliver: (sign: () => Promise<SignedRequest>) => Promise<unknown>,
  ): Promise<void> {
    const name = parseUploadName(upload.storageUploadId);
    const sign = () => signing(partRequest(internal, names.toName(upload.key), name, part, clock() + OWN_URL_MS));
    await ask(`delivering part ${part.number} of upload ${upload.id}`, async () => {
      try {
        await deliver(sign);
      } catch (error) {
        if (!isNoSuchUpload(error)) throw error;
        throw new StoreError('upload_closed', `Upload ${upload.id} accepts no more parts.`, {}, { cause: error });
      }
    });
  }

  function listParts(upload: UploadHandle): Promise<ReceivedPart[] | null> {
    return ask(`listing the parts of upload ${upload.id}`, async () => {
      const parts: ReceivedPart[] = [];
      let marker: string | undefined;
      do {
        const command: ListPartsCommand = new ListPartsCommand({
          ...uploadNamed(upload),
          ...(marker === undefined ? {} : { PartNumberMarker: marker }),
        });
        const page = await client.send(command).catch((error) => {
          // RGW 16.2 says NoSuchKey of an upload that has ended.
          if (isNoSuchUpload(error) || isNoSuchObject(error)) return null;
          throw error;
        });
        if (page === null) return null;
        for (const { PartNumber = 0, Size = -1, ETag = '' } of page.Parts ?? []) {
          parts.push({ number: PartNumber, size: Size, etag: ETag });
        }
        const next = page.IsTruncated ? page.NextPartNumberMarker : undefined;
        if (next !== undefined && next === marker) {
          throw new StoreError('unavailable', `The storage lists the parts after ${next} again and again.`);
        }
        marker = next;
      } while (marker !== undefined);
      return parts;
    });
  }

  async function abort({ id, key, storageUploadId }: MaybeNamedUpload): Promise<void> {
    await ask(`aborting upload ${id}`, async () => {
      // None of a key that was never completed can be needed, nor be what a completion has begun on.
      const s3Ids = storageUploadId === null ? await begunOn(key) : [parseUploadName(storageUploadId).s3Id];
      for (const UploadId of s3Ids) {
        try {
          await client.send(new AbortMultipartUploadCommand({ ...named(key), UploadId }));
        } catch (error) {
          if (!isNoSuchUpload(error) && !isNoSuchObject(error)) throw error;
        }
      }
    });
  }

  /** S3's ids of the uploads that it has open on a key. */
  async function begunOn(key: ObjectKey): Promise<string[]> {
    const { Bucket, Key } = named(key);
    // One for each plan that raced, of which there are never a thousand.
    const { Uploads: begun = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: Key }));
    return begun.flatMap((upload) => (upload.Key === Key && upload.UploadId ? [upload.UploadId] : []));
  }

  async function* listBegun(): AsyncGenerator<BegunUpload> {
    let from = null as { KeyMarker: string; UploadIdMarker: string } | null;
    do {
      const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({
        Bucket: access.bucket,
        Prefix: names.toNamePrefix(OBJECTS_PREFIX),
        ...from,
      });
      const page = await ask('listing the uploads that were begun', () => client.send(command));
      for (const { Key = '', UploadId = '', Initiated } of page.Uploads ?? []) {
        const key = names.toKey(Key);
        if (key !== null) yield { key, names: namesOf(UploadId), begunAt: Initiated?.getTime() ?? 0 };
      }
      const { NextKeyMarker = '', NextUploadIdMarker = '' } = page;
      if (
        page.IsTruncated &&
        NextKeyMarker === (from?.KeyMarker ?? '') &&
        NextUploadIdMarker === (from?.UploadIdMarker ?? '')
      ) {
        throw new StoreError('unavailable', `The storage lists the uploads after ${NextKeyMarker} again and again.`);
      }
      from = page.IsTruncated ? { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker } : null;
    } while (from !== null);
  }

  return {
    delivery: 'parts',
    listBegun,
    listParts,
    abort,

    async create(key, uploadId) {
      const checksums = report()?.held.checksum_header_honoured ?? false;
      const command = new CreateMultipartUploadCommand({
        ...named(key),
        // What is read without our signed overrides must not be taken for a page either.
        ContentType: 'application/octet-stream',
        ContentDisposition: 'attachment',
        ...(checksums ? { ChecksumAlgorithm: 'SHA256' as const } : {}),
      });
      const { UploadId: s3Id } = await ask(`opening upload ${uploadId}`, () => client.send(command));
      if (!s3Id) throw new StoreError('unavailable', `The storage gave upload ${uploadId} no id.`);
      return formatUploadName({ s3Id, checksums });
    },

    async signPart(upload, part, expiresAt) {
      const name = parseUploadName(upload.storageUploadId);
      return uploadSigning(partRequest(access.public, names.toName(upload.key), name, part, expiresAt));
    },

    async deliverPart(upload, part, file) {
      const { size } = await lstat(file);
      if (size < part.offset + part.size) {
        const detail = `Part ${part.number} ends at ${part.offset + part.size}, but the file has ${size} bytes.`;
        throw new StoreError('body_length_mismatch', detail);
      }
      const range = { file, offset: part.offset, size: part.size };
      await sendPart(upload, part, (sign) => sendFile(sign, range, agent));
    },

    async streamPart(upload, part, body) {
      await sendPart(upload, part, (sign) => sendStream(sign, checkedChunks(part, body), loneAgent));
    },

    async complete(upload, parts, listed) {
      const ordered = parts.toSorted((a, b) => a.number - b.number);
      const received = new Map((listed ?? (await listParts(upload)) ?? []).map((part) => [part.number, part]));
      const missing = ordered.filter((part) => received.get(part.number)?.size !== part.size);
      if (missing.length > 0) {
        const numbers = missing.slice(0, 100).map(({ number }) => number);
        throw new StoreError('upload_incomplete', `Upload ${upload.id} still needs the parts ${numbers.join(', ')}.`, {
          missing_parts: numbers,
        });
      }
      const { checksums } = parseUploadName(upload.storageUploadId);
      const command = new CompleteMultipartUploadCommand({
        ...uploadNamed(upload),
        MultipartUpload: {
          Parts: ordered.map(({ number, digest }) => ({
            PartNumber: number,
            ETag: received.get(number)?.etag,
            ...(checksums ? { ChecksumSHA256: checksumOf(digest) } : {}),
          })),
        },
      });
      // Sent once, whatever the result: a second Complete can destroy what the first one made, later and silently.
      const answer = await ask(`completing upload ${upload.id}`, () => once.send(command));
      assertClean(answer, upload, command.input.Key);
      const [first] = ordered;
      const enforced = bucket.isBelieved();
      return {
        size: ordered.reduce((sum, { size }) => sum + size, 0),
        versionId: versionIdOf(answer.VersionId),
        digest: enforced && first !== undefined && ordered.length === 1 ? first.digest : null,
        partsBound: enforced,
      };
    },

    /** Neither a HEAD nor NoSuchUpload nor a second answer is evidence here: docs/storage-ceph-s3.md. */
    async settle() {
      return 'unknown';
    },

    async drop(upload, completion, versionId) {
      if (completion === 'not_sent') await abort(upload);
      const isLocked = completion === 'clean' && !(await removeObject({ key: upload.key, versionId }));
      if (isLocked) return 'later';
      if (completion !== 'unclean') return 'dropped';
      // An Abort now can destroy what a Complete makes a moment later, and a DELETE can come before it. The sweep
      // removes the object, if one ever exists, when nothing can be in flight any more.
      return 'later';
    },
  };
}

/** A 200 that does not name the object is no answer to build on. (RGW 16.2 leaves the ETag in it empty.) */
function assertClean(answer: CompleteMultipartUploadCommandOutput, upload: UploadHandle, name?: string): void {
  if (answer.$metadata.httpStatusCode === 200 && answer.Key === name) return;
  throw new StoreError('unavailable', `The storage gave no clean answer to the completion of upload ${upload.id}.`);
}

import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandOutput,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
} from '@aws-sdk/client-s3';
import { type Digest, digestFromBytes } from '../../core/digest.ts';
import { StoreError } from '../../core/errors.ts';
import type { UploadId } from '../../core/ids.ts';
import type { PlannedPart } from '../../core/part-plan.ts';
import type {
  BlobHealth,
  BlobStore,
  ByteRange,
  CompletedObject,
  Completion,
  DownloadOptions,
  ObjectRef,
  ObjectStat,
  ReceivedPart,
  SignedRequest,
  UploadHandle,
} from '../blob-store.ts';
import type { ObjectKey } from '../key-layout.ts';
import { checkedChunks } from '../part-rules.ts';
import type { Spooled } from '../spool.ts';
import { openAccess, type S3Access } from './access.ts';
import { signDownload } from './downloads.ts';
import { checkBucketHealth } from './health.ts';
import type { S3StoreOptions } from './options.ts';
import { bodyHeaders, checksumOf, partRequest } from './part-requests.ts';
import { asking, isNoSuchObject, isNoSuchUpload, refusalOf } from './s3-errors.ts';
import { sendFile, sendStream } from './send.ts';
import { formatUploadName, parseUploadName } from './upload-name.ts';

/** For requests that the service sends itself, one after the other. */
const OWN_URL_MS = 900_000;
/** How long one of two requests that write the same object waits for the other. */
const CONTENTION_MS = 250;

/** A bucket of an S3 server. No I/O until it is used. @throws TypeError, RangeError for options that cannot be */
export function openS3Store(options: S3StoreOptions): BlobStore {
  return new S3Store(options, openAccess(options));
}

class S3Store implements BlobStore {
  readonly kind = 's3';
  readonly delivery = 'parts';
  readonly #options: S3StoreOptions;
  readonly #access: S3Access;

  constructor(options: S3StoreOptions, access: S3Access) {
    this.#options = options;
    this.#access = access;
  }

  async createUpload(key: ObjectKey, uploadId: UploadId): Promise<string> {
    const checksums = this.#options.guarantees()?.held.checksum_header_honoured ?? false;
    const command = new CreateMultipartUploadCommand({
      ...this.#named(key),
      // What is read without our signed overrides must not be taken for a page either.
      ContentType: 'application/octet-stream',
      ContentDisposition: 'attachment',
      ...(checksums ? { ChecksumAlgorithm: 'SHA256' as const } : {}),
    });
    const { UploadId: s3Id } = await this.#ask(`opening upload ${uploadId}`, () => this.#access.client.send(command));
    if (!s3Id) throw new StoreError('unavailable', `The storage gave upload ${uploadId} no id.`);
    return formatUploadName({ s3Id, checksums });
  }

  signPart(upload: UploadHandle, part: PlannedPart, expiresAt: number): Promise<SignedRequest> {
    const { names, public: address, uploadSigning } = this.#access;
    const name = parseUploadName(upload.storageUploadId);
    return uploadSigning(partRequest(address, names.toName(upload.key), name, part, expiresAt));
  }

  async deliverPart(upload: UploadHandle, part: PlannedPart, file: string): Promise<void> {
    const { size } = await lstat(file);
    if (size < part.offset + part.size) {
      const detail = `Part ${part.number} ends at ${part.offset + part.size}, but the file has ${size} bytes.`;
      throw new StoreError('body_length_mismatch', detail);
    }
    const range = { file, offset: part.offset, size: part.size };
    await this.#sendPart(upload, part, (sign) => sendFile(sign, range, this.#access.agent));
  }

  async streamPart(upload: UploadHandle, part: PlannedPart, body: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#sendPart(upload, part, (sign) => sendStream(sign, checkedChunks(part, body)));
  }

  listParts(upload: UploadHandle): Promise<ReceivedPart[]> {
    return this.#ask(`listing the parts of upload ${upload.id}`, async () => {
      const parts: ReceivedPart[] = [];
      let marker: string | undefined;
      do {
        const command: ListPartsCommand = new ListPartsCommand({
          ...this.#uploadNamed(upload),
          ...(marker === undefined ? {} : { PartNumberMarker: marker }),
        });
        const page = await this.#access.client.send(command).catch((error) => {
          // RGW 16.2 says NoSuchKey of an upload that has ended.
          if (isNoSuchUpload(error) || isNoSuchObject(error)) return null;
          throw error;
        });
        if (page === null) return [];
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

  async completeUpload(
    upload: UploadHandle,
    parts: readonly PlannedPart[],
    listed?: readonly ReceivedPart[],
  ): Promise<CompletedObject> {
    const ordered = parts.toSorted((a, b) => a.number - b.number);
    const received = new Map((listed ?? (await this.listParts(upload))).map((part) => [part.number, part]));
    const missing = ordered.filter((part) => received.get(part.number)?.size !== part.size);
    if (missing.length > 0) {
      const numbers = missing.slice(0, 100).map(({ number }) => number);
      throw new StoreError('upload_incomplete', `Upload ${upload.id} still needs the parts ${numbers.join(', ')}.`, {
        missing_parts: numbers,
      });
    }
    const { checksums } = parseUploadName(upload.storageUploadId);
    const command = new CompleteMultipartUploadCommand({
      ...this.#uploadNamed(upload),
      MultipartUpload: {
        Parts: ordered.map(({ number, digest }) => ({
          PartNumber: number,
          ETag: received.get(number)?.etag,
          ...(checksums ? { ChecksumSHA256: checksumOf(digest) } : {}),
        })),
      },
    });
    // Once, whatever comes of it: a second Complete can destroy what the first one made, later and silently.
    const answer = await this.#ask(`completing upload ${upload.id}`, () => this.#access.once.send(command));
    assertClean(answer, upload, command.input.Key);
    const [first] = ordered;
    const enforced = this.#believes();
    return {
      size: ordered.reduce((sum, { size }) => sum + size, 0),
      versionId: answer.VersionId && answer.VersionId !== 'null' ? answer.VersionId : null,
      digest: enforced && first !== undefined && ordered.length === 1 ? first.digest : null,
      partsBound: enforced,
    };
  }

  async abortUpload(upload: UploadHandle): Promise<void> {
    const command = new AbortMultipartUploadCommand(this.#uploadNamed(upload));
    await this.#ask(`aborting upload ${upload.id}`, async () => {
      try {
        await this.#access.client.send(command);
      } catch (error) {
        if (!isNoSuchUpload(error) && !isNoSuchObject(error)) throw error;
      }
    });
  }

  async dropUpload(upload: UploadHandle, completion: Completion, versionId: string | null): Promise<void> {
    if (completion === 'not_sent') await this.abortUpload(upload);
    if (completion === 'clean') await this.removeObject({ key: upload.key, versionId });
    // Unclean: an Abort now can destroy what a Complete makes a moment later, and a DELETE can come before it. The sweep
    // removes the object, if there ever is one, when nothing can be under way any more.
  }

  async writeObject(key: ObjectKey, bytes: AsyncIterable<Uint8Array>): Promise<{ size: number; digest: Digest }> {
    const spooled = await this.#options.spool.receive(bytes);
    try {
      const { size, digest } = spooled;
      let outcome = await this.#writeOnce(key, spooled);
      if (outcome === 'contended') {
        // Whoever writes it just now may have failed too: AWS says to try again.
        await sleep(CONTENTION_MS);
        outcome = await this.#writeOnce(key, spooled);
      }
      if (outcome === 'contended') {
        throw new StoreError('unavailable', `Somebody else is writing ${key} just now: try again in a moment.`);
      }
      if (outcome === 'written' && this.#believes()) return { size, digest };
      const standing = await this.#digestOf(key);
      if (standing === digest) return { size, digest };
      throw new StoreError('integrity_failure', `${key} stands already with ${standing}; it was to be ${digest}.`, {
        expected_digest: digest,
        actual_digest: standing,
      });
    } finally {
      await spooled.discard();
    }
  }

  openObject({ key, versionId }: ObjectRef, range?: ByteRange): Promise<Readable> {
    return this.#ask(`opening ${key}`, async () => {
      if (range?.size === 0) return Readable.from([]);
      const command = new GetObjectCommand({
        ...this.#named(key),
        ...(versionId === null ? {} : { VersionId: versionId }),
        ...(range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.size - 1}` }),
      });
      const { Body, ContentLength } = await this.#access.client.send(command);
      const body = Body as Readable;
      if (range !== undefined && ContentLength !== range.size) {
        body.destroy();
        throw new StoreError('range_not_satisfiable', `${key} does not hold ${range.size} bytes at ${range.offset}.`);
      }
      return body;
    });
  }

  statObject({ key, versionId }: ObjectRef): Promise<ObjectStat | null> {
    return this.#ask(`looking at ${key}`, async () => {
      const command = new HeadObjectCommand({
        ...this.#named(key),
        ...(versionId === null ? {} : { VersionId: versionId }),
      });
      try {
        const { ContentLength = 0, LastModified } = await this.#access.client.send(command);
        return { size: ContentLength, modifiedAt: LastModified?.getTime() ?? 0 };
      } catch (error) {
        if (!isNoSuchObject(error)) throw error;
        // A HEAD says 404 of an object and of a bucket alike.
        await this.#findBucket();
        return null;
      }
    });
  }

  async removeObject({ key, versionId }: ObjectRef): Promise<void> {
    const command = new DeleteObjectCommand({
      ...this.#named(key),
      ...(versionId === null ? {} : { VersionId: versionId }),
    });
    await this.#ask(`removing ${key}`, async () => {
      try {
        await this.#access.client.send(command);
      } catch (error) {
        if (!isNoSuchObject(error)) throw error;
      }
    });
  }

  async *listObjects(prefix: string): AsyncGenerator<ObjectStat & { key: ObjectKey }> {
    const { bucket, client, names } = this.#access;
    let token: string | undefined;
    do {
      const command: ListObjectsV2Command = new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: names.toNamePrefix(prefix),
        ...(token === undefined ? {} : { ContinuationToken: token }),
      });
      const page = await this.#ask(`listing ${JSON.stringify(prefix.slice(0, 200))}`, () => client.send(command));
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        const key = names.toKey(Key);
        if (key !== null) yield { key, size: Size, modifiedAt: LastModified?.getTime() ?? 0 };
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async signDownload(ref: ObjectRef, options: DownloadOptions): Promise<SignedRequest> {
    // Next to the range stand bytes that the caller may not read.
    const enforced = this.#options.guarantees()?.held.download_range_enforced ?? false;
    if (options.range !== undefined && !enforced) return this.#options.selfServed(options);
    return signDownload(this.#access, ref, options);
  }

  async health(afresh = false): Promise<BlobHealth> {
    const { guarantees, probeAgain, verify } = this.#options;
    if (afresh) await probeAgain();
    return checkBucketHealth(this.#access, guarantees(), verify, () =>
      this.#ask('looking at the bucket', () => this.#findBucket()),
    );
  }

  async close(): Promise<void> {
    this.#access.close();
  }

  /** Contended: another request writes it just now, and nobody knows whether it will stand. */
  async #writeOnce(key: ObjectKey, spooled: Spooled): Promise<'written' | 'stands' | 'contended'> {
    // If-None-Match is ignored by some servers and on versioned buckets: look first.
    if ((await this.statObject({ key, versionId: null })) !== null) return 'stands';
    const { signing, internal: address, names, clock, agent } = this.#access;
    const name = names.toName(key);
    const headers = { ...bodyHeaders(spooled, false), 'if-none-match': '*' };
    const sign = () => signing({ method: 'PUT', address, name, headers, expiresAt: clock() + OWN_URL_MS });
    return this.#ask(`writing ${key}`, async () => {
      try {
        await sendFile(sign, { file: spooled.file, offset: 0, size: spooled.size }, agent);
        return 'written';
      } catch (error) {
        const status = refusalOf(error)?.status;
        if (status === 412) return 'stands';
        if (status === 409) return 'contended';
        throw error;
      }
    });
  }

  /** @throws StoreError upload_closed */
  async #sendPart(
    upload: UploadHandle,
    part: PlannedPart,
    deliver: (sign: () => Promise<SignedRequest>) => Promise<unknown>,
  ): Promise<void> {
    const { names, internal, signing, clock } = this.#access;
    const name = parseUploadName(upload.storageUploadId);
    const sign = () => signing(partRequest(internal, names.toName(upload.key), name, part, clock() + OWN_URL_MS));
    await this.#ask(`delivering part ${part.number} of upload ${upload.id}`, async () => {
      try {
        await deliver(sign);
      } catch (error) {
        if (!isNoSuchUpload(error)) throw error;
        throw new StoreError('upload_closed', `Upload ${upload.id} takes no more parts.`, {}, { cause: error });
      }
    });
  }

  async #digestOf(key: ObjectKey): Promise<Digest> {
    const hash = createHash('sha256');
    for await (const chunk of await this.openObject({ key, versionId: null })) hash.update(chunk as Uint8Array);
    return digestFromBytes(hash.digest());
  }

  async #findBucket(): Promise<void> {
    const { bucket, client } = this.#access;
    try {
      await client.send(new HeadBucketCommand({ Bucket: bucket }));
    } catch (error) {
      if (!isNoSuchObject(error) && refusalOf(error)?.status !== 404) throw error;
      throw new StoreError(
        'unavailable',
        `The bucket ${JSON.stringify(bucket)} does not exist: create it, or correct ARTIFACT_STORE_S3_BUCKET.`,
        { storage_code: 'NoSuchBucket' },
        { cause: error },
      );
    }
  }

  /** Whether bytes that storage took need not be read back. */
  #believes(): boolean {
    return this.#options.verify === 'auto' && (this.#options.guarantees()?.enforcing ?? false);
  }

  #named(key: ObjectKey): { Bucket: string; Key: string } {
    return { Bucket: this.#access.bucket, Key: this.#access.names.toName(key) };
  }

  #uploadNamed({ key, storageUploadId }: UploadHandle): { Bucket: string; Key: string; UploadId: string } {
    return { ...this.#named(key), UploadId: parseUploadName(storageUploadId).s3Id };
  }

  #ask<Result>(doing: string, work: () => Promise<Result>): Promise<Result> {
    return asking(this.#access.bucket, doing, work);
  }
}

/** A 200 that does not name the object is no answer to build on. (RGW 16.2 leaves the ETag in it empty.) */
function assertClean(answer: CompleteMultipartUploadCommandOutput, upload: UploadHandle, name?: string): void {
  if (answer.$metadata.httpStatusCode === 200 && answer.Key === name) return;
  throw new StoreError('unavailable', `The storage gave no clean answer to the completion of upload ${upload.id}.`);
}

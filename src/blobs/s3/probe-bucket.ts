import { randomBytes } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  ListPartsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { type Digest, digestOf } from '../../core/digest.ts';
import { isStoreError } from '../../core/errors.ts';
import type { SignedRequest } from '../blob-store.ts';
import { type ObjectKey, probeKey } from '../key-layout.ts';
import type { S3Access } from './access.ts';
import { checksumOf, partRequest } from './part-requests.ts';
import { asking, refusalOf } from './s3-errors.ts';
import type { OutgoingRequest } from './send.ts';
import { type Spoiling, sendTrial, type TrialAnswer } from './send-trial.ts';
import type { SeenLock } from './trial.ts';
import type { UploadName } from './upload-name.ts';

/** Bytes. */
const SIZE = 1_000;
const URL_LIFETIME_MS = 300_000;

export interface ProbeUpload extends UploadName {
  key: ObjectKey;
}

export interface ListedPart {
  etag: string;
  size: number;
}

/**
 * The bucket as one probe uses it: what its trials make there and look at, and the requests that they spoil. Every key is
 * the probe's own. What asks storage throws StoreError when it does not answer as it should, and the signal's reason when the
 * probe is to stop; what removes does neither.
 */
export class ProbeBucket {
  readonly access: S3Access;
  readonly right = randomBytes(SIZE);
  /** As many others. */
  readonly wrong = randomBytes(SIZE);
  /** What a request with the right bytes is signed for. */
  readonly promised = { digest: digestOf(this.right), size: SIZE };
  readonly #id = randomBytes(8).toString('hex');
  readonly #signal: AbortSignal | undefined;

  constructor(access: S3Access, signal?: AbortSignal) {
    this.access = access;
    this.#signal = signal;
  }

  key(last: string): ObjectKey {
    return probeKey(this.#id, last);
  }

  /** @returns the version, on versioned buckets */
  async write(key: ObjectKey, body: Uint8Array): Promise<string | undefined> {
    const command = new PutObjectCommand({ ...this.#named(key), Body: body });
    const { VersionId } = await this.#ask('writing the probe object', () => this.access.client.send(command));
    return VersionId;
  }

  async read(key: ObjectKey): Promise<Buffer | null> {
    const command = new GetObjectCommand(this.#named(key));
    const { Body } = await this.#ask('reading the probe object', () => this.access.client.send(command));
    return Body ? Buffer.from(await Body.transformToByteArray()) : null;
  }

  async readIfThere(key: ObjectKey): Promise<Buffer | null> {
    try {
      return await this.read(key);
    } catch (error) {
      if (isStoreError(error, 'object_not_found')) return null;
      throw error;
    }
  }

  /**
   * What cannot be removed now is left for a later start. @param version on versioned buckets: without it a delete only
   * hides
   */
  async remove(key: ObjectKey, version: string | undefined): Promise<void> {
    const command = new DeleteObjectCommand({
      ...this.#named(key),
      ...(version === undefined ? {} : { VersionId: version }),
    });
    await this.access.client.send(command).catch(() => {});
  }

  /** @param checksums for parts with a checksum header */
  async openUpload(last: string, checksums: boolean): Promise<ProbeUpload> {
    const key = this.key(last);
    const command = new CreateMultipartUploadCommand({
      ...this.#named(key),
      ...(checksums ? { ChecksumAlgorithm: 'SHA256' as const } : {}),
    });
    const { UploadId } = await this.#ask('opening a probe upload', () => this.access.client.send(command));
    return { key, s3Id: UploadId ?? '', checksums };
  }

  async listParts(upload: ProbeUpload): Promise<Map<number, ListedPart>> {
    const command = new ListPartsCommand({ ...this.#named(upload.key), UploadId: upload.s3Id });
    const { Parts = [] } = await this.#ask('listing the probe parts', () => this.access.client.send(command));
    return new Map(Parts.map((part) => [part.PartNumber ?? 0, { etag: part.ETag ?? '', size: part.Size ?? -1 }]));
  }

  /**
   * Makes an object of part 1. Sent once: if the answer is not clean, what is under this key is left alone for an hour, and its
   * upload for two. @returns the version, on versioned buckets
   */
  async complete(upload: ProbeUpload, part: ListedPart): Promise<string | undefined> {
    const checksum = upload.checksums ? { ChecksumSHA256: checksumOf(this.promised.digest) } : {};
    const command = new CompleteMultipartUploadCommand({
      ...this.#named(upload.key),
      UploadId: upload.s3Id,
      MultipartUpload: { Parts: [{ PartNumber: 1, ETag: part.etag, ...checksum }] },
    });
    const { VersionId } = await this.#ask('completing the probe upload', () => this.access.once.send(command));
    return VersionId;
  }

  /** What the bucket says of locks. Never throws but when the probe is to stop: a server may not know of them, and a key not be allowed to ask. */
  async readLock(): Promise<Omit<SeenLock, 'wanted'>> {
    this.#signal?.throwIfAborted();
    try {
      const command = new GetObjectLockConfigurationCommand({ Bucket: this.access.bucket });
      const { ObjectLockConfiguration: said } = await this.access.client.send(command);
      const { Mode, Days, Years } = said?.Rule?.DefaultRetention ?? {};
      const time = Days === undefined ? `${Years} years` : `${Days} days`;
      return {
        enabled: said?.ObjectLockEnabled === 'Enabled',
        byDefault: Mode === undefined ? null : `${Mode.toLowerCase()}, ${time}`,
      };
    } catch (error) {
      const code = refusalOf(error)?.code;
      return { enabled: code === 'ObjectLockConfigurationNotFoundError' ? false : null, byDefault: null };
    }
  }

  /** Of an upload that was never completed. What cannot be aborted now is left for a later start. */
  async abort(upload: ProbeUpload): Promise<void> {
    const command = new AbortMultipartUploadCommand({ ...this.#named(upload.key), UploadId: upload.s3Id });
    await this.access.client.send(command).catch(() => {});
  }

  /** Five minutes from now, ms. */
  urlExpiry(): number {
    return this.access.clock() + URL_LIFETIME_MS;
  }

  /** The URL of a part as clients get it. @param checksum what its checksum header says, where it lies */
  signPart(
    upload: ProbeUpload,
    number: number,
    { expiresAt = this.urlExpiry(), checksum }: { expiresAt?: number; checksum?: Digest } = {},
  ): Promise<SignedRequest> {
    const name = this.access.names.toName(upload.key);
    const request = partRequest(this.access.public, name, upload, { number, ...this.promised }, expiresAt);
    if (checksum !== undefined) request.headers['x-amz-checksum-sha256'] = checksumOf(checksum);
    return this.access.uploadSigning(request);
  }

  /** What asks for the bytes of an object instead of the body's. */
  copyOf(key: ObjectKey): Record<string, string> {
    return { 'x-amz-copy-source': `/${this.access.bucket}/${this.access.names.toName(key)}` };
  }

  /** Sends a request with the right bytes, or as a trial spoils it. That no answer came says something too. */
  async send(request: OutgoingRequest, spoiling: Spoiling = {}): Promise<TrialAnswer> {
    this.#signal?.throwIfAborted();
    const { loneAgent, closed } = this.access;
    return sendTrial(request, this.right, { agent: loneAgent(request.url), signal: closed }, spoiling);
  }

  #named(key: ObjectKey): { Bucket: string; Key: string } {
    return { Bucket: this.access.bucket, Key: this.access.names.toName(key) };
  }

  async #ask<Result>(doing: string, work: () => Promise<Result>): Promise<Result> {
    this.#signal?.throwIfAborted();
    return asking(this.access.bucket, doing, work);
  }
}

import { randomBytes } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { type Digest, digestOf } from '../../core/digest.ts';
import { isStoreError } from '../../core/errors.ts';
import type { SignedRequest } from '../blob-store.ts';
import { probeKey } from '../key-layout.ts';
import { openAccess, type S3Access } from './access.ts';
import { type Attack, type Attempt, attempt, headerOf, leaked, trialOf } from './attempt.ts';
import { signDownload } from './downloads.ts';
import { evaluate, type Observations, type ProbeReport, type Trial, type TrialName } from './guarantees.ts';
import type { S3Options } from './options.ts';
import { bodyHeaders, checksumOf, partRequest } from './part-requests.ts';
import { asking } from './s3-errors.ts';
import type { OutgoingRequest } from './send.ts';

const SIZE = 1_000;
const MINUTE = 60_000;

/**
 * Attacks the bucket through the public endpoint with part URLs as clients get them, and through the internal endpoint with
 * the requests that the service itself sends, under keys of its own that it removes again. Never throws: what could not be
 * tried has not been proved. What a process leaves that dies here, a later start removes (probe-leftovers.ts). @param signal makes it stop where it is, and clean up
 */
export async function probeBackend(options: S3Options, signal?: AbortSignal): Promise<ProbeReport> {
  const access = openAccess(options);
  const endpoint = `${access.public.protocol}//${access.public.host}`;
  const probedAt = options.clock();
  const seen: Pick<Observations, 'trials' | 'clockSkewMs'> = { trials: {}, clockSkewMs: null };
  let problem: string | null = null;
  try {
    problem = await new Probe(access, seen, signal).run();
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  } finally {
    access.close();
  }
  return evaluate({ ...seen, problem, hasUploadKey: access.hasUploadKey }, { probedAt, endpoint });
}

interface ProbeUpload {
  name: string;
  s3Id: string;
}

class Probe {
  readonly #access: S3Access;
  readonly #seen: Pick<Observations, 'trials' | 'clockSkewMs'>;
  readonly #trials: Observations['trials'];
  readonly #id = randomBytes(8).toString('hex');
  readonly #right = randomBytes(SIZE);
  readonly #wrong = randomBytes(SIZE);
  readonly #digest: Digest;
  readonly #signal: AbortSignal | undefined;
  #checksums = false;

  constructor(access: S3Access, seen: Pick<Observations, 'trials' | 'clockSkewMs'>, signal?: AbortSignal) {
    this.#signal = signal;
    this.#access = access;
    this.#seen = seen;
    this.#trials = seen.trials;
    this.#digest = digestOf(this.#right);
  }

  /** @returns why nothing could be tried */
  async run(): Promise<string | null> {
    const source = this.#access.names.toName(probeKey(this.#id, 'source'));
    const { VersionId } = await this.#ask('writing the probe object', () =>
      this.#access.client.send(new PutObjectCommand({ ...this.#bucket(source), Body: this.#wrong })),
    );
    try {
      this.#checksums = await this.#tryChecksums();
      const problem = await this.#tryParts(source);
      if (problem !== null) return problem;
      await this.#tryOwnPart();
      await this.#tryOwnObject();
      await this.#tryCommitted(source);
      await this.#tryReads(source);
      return null;
    } finally {
      await this.#remove(source, VersionId);
    }
  }

  /** Whether a signed checksum header is checked, apart from the payload hash: the other hash is right in both trials. */
  async #tryChecksums(): Promise<boolean> {
    let upload: ProbeUpload;
    try {
      upload = await this.#open('checksum', true);
    } catch {
      // A server that does not know the header may refuse it.
      return false;
    }
    try {
      const right = await this.#sign(upload, 1, { checksum: this.#digest });
      const wrong = await this.#sign(upload, 2, { checksum: digestOf(this.#wrong) });
      const answers = [await this.#attempt(right), await this.#attempt(wrong)] as const;
      const parts = await this.#parts(upload);
      this.#trials.right_checksum = trialOf(answers[0], parts.has(1) ? 'right' : 'nothing');
      this.#trials.wrong_checksum = trialOf(answers[1], parts.has(2) ? 'other' : 'nothing');
      return answers[0].status === 200 && parts.has(1) && answers[1].status >= 400 && !parts.has(2);
    } finally {
      await this.#abort(upload);
    }
  }

  /** Each attack has a part of its own, so that one list tells what every one of them stored. */
  async #tryParts(source: string): Promise<string | null> {
    const upload = await this.#open('parts', this.#checksums);
    try {
      const control = await this.#attempt(await this.#sign(upload, 1));
      if (control.status === 0) {
        return `the public endpoint ${this.#access.public.protocol}//${this.#access.public.host} cannot be reached from the service: ${control.reason}. Correct ARTIFACT_STORE_S3_PUBLIC_ENDPOINT, or let the service's machine reach it (DNS, firewall).`;
      }
      const told = Date.parse(control.headers.date ?? '');
      if (!Number.isNaN(told)) this.#seen.clockSkewMs = told - this.#access.clock();
      const attacks: Array<[TrialName, Attack]> = [
        ['wrong_body', { body: this.#wrong }],
        ['empty_body', { body: Buffer.alloc(0) }],
        ['shorter_body', { body: this.#right.subarray(1) }],
        ['longer_body', { body: Buffer.concat([this.#right, this.#wrong]) }],
        ['copy_with_body', { headers: this.#copyOf(source) }],
        ['copy_without_body', { headers: this.#copyOf(source), body: Buffer.alloc(0) }],
        ['other_hash', { body: this.#wrong, headers: this.#hashHeaders(digestOf(this.#wrong)) }],
        ['no_hash', { without: ['x-amz-content-sha256', 'x-amz-checksum-sha256'] }],
        ['expired', { expiresAt: this.#access.clock() - 5 * MINUTE }],
      ];
      const answers = new Map<TrialName, Attempt>();
      for (const [index, [trial, attack]] of attacks.entries()) {
        const signed = await this.#sign(upload, index + 2, attack);
        answers.set(trial, await this.#attempt(signed, attack));
      }
      const parts = await this.#parts(upload);
      const right = parts.get(1);
      this.#trials.part = trialOf(control, right?.size === SIZE ? 'right' : right ? 'other' : 'nothing');
      for (const [index, [trial]] of attacks.entries()) {
        const part = parts.get(index + 2);
        const same = part !== undefined && part.etag === right?.etag && part.size === right.size;
        this.#trials[trial] = trialOf(answers.get(trial), same ? 'right' : part ? 'other' : 'nothing');
      }
      return null;
    } finally {
      await this.#abort(upload);
    }
  }

  /** A part as `deliverPart` sends it: another endpoint and another key than clients have, so nothing else speaks for it. */
  async #tryOwnPart(): Promise<void> {
    const upload = await this.#open('own-part', this.#checksums);
    try {
      const right = await this.#attempt(await this.#signOwnPart(upload, 1));
      const wrong = await this.#attempt(await this.#signOwnPart(upload, 2), { body: this.#wrong });
      const parts = await this.#parts(upload);
      this.#trials.own_part = trialOf(right, parts.get(1)?.size === SIZE ? 'right' : 'nothing');
      this.#trials.own_wrong_part = trialOf(wrong, parts.has(2) ? 'other' : 'nothing');
    } finally {
      await this.#abort(upload);
    }
  }

  /** An object as `writeObject` sends it. */
  async #tryOwnObject(): Promise<void> {
    const attacks = [
      ['own_object', {}],
      ['own_wrong_object', { body: this.#wrong }],
    ] as const;
    for (const [trial, attack] of attacks) {
      const name = this.#access.names.toName(probeKey(this.#id, trial.replaceAll('_', '-')));
      const answer = await this.#attempt(await this.#signOwnObject(name), attack);
      let stored: Trial['stored'] = answer.status >= 400 && answer.status < 500 ? 'nothing' : 'other';
      try {
        const bytes = await this.#readIfThere(name);
        stored = bytes === null ? 'nothing' : bytes.equals(this.#right) ? 'right' : 'other';
        this.#trials[trial] = trialOf(answer, stored);
      } finally {
        // On a versioned bucket the removal of nothing leaves a mark.
        if (stored !== 'nothing') await this.#remove(name, headerOf(answer, 'x-amz-version-id'));
      }
    }
  }

  /** Other methods on an open upload; then everything again after the object was committed. */
  async #tryCommitted(source: string): Promise<void> {
    const upload = await this.#open('committed', this.#checksums);
    const signed = await this.#sign(upload, 1);
    let part: ListedPart | undefined;
    try {
      part = await this.#tryMethods(upload, signed);
    } finally {
      // None was completed yet.
      if (part === undefined) await this.#abort(upload);
    }
    if (part === undefined) return;
    // Once: if the answer is not clean, what is under this key is left alone for an hour, and its upload for two.
    const checksum = this.#checksums ? { ChecksumSHA256: checksumOf(this.#digest) } : {};
    const { VersionId } = await this.#ask('completing the probe upload', () =>
      this.#access.once.send(
        new CompleteMultipartUploadCommand({
          ...this.#bucket(upload.name),
          UploadId: upload.s3Id,
          MultipartUpload: { Parts: [{ PartNumber: 1, ETag: part.etag, ...checksum }] },
        }),
      ),
    );
    try {
      const attacks: Array<[TrialName, Attack]> = [
        ['late_part', {}],
        ['late_wrong_part', { body: this.#wrong }],
        ['late_empty_part', { body: Buffer.alloc(0) }],
        ['late_copy', { headers: this.#copyOf(source), body: Buffer.alloc(0) }],
      ];
      for (const [trial, attack] of attacks) {
        const answer = await this.#attempt(signed, attack);
        const bytes = await this.#read(upload.name);
        this.#trials[trial] = trialOf(answer, bytes?.equals(this.#right) ? 'right' : 'other');
      }
    } finally {
      await this.#remove(upload.name, VersionId);
    }
  }

  /** @returns the part as it is listed in the end */
  async #tryMethods(upload: ProbeUpload, signed: SignedRequest): Promise<ListedPart | undefined> {
    await this.#attempt(signed);
    for (const method of ['get', 'post', 'delete'] as const) {
      const answer = await this.#attempt(signed, { method: method.toUpperCase() });
      const part = (await this.#parts(upload).catch(() => new Map<number, ListedPart>())).get(1);
      this.#trials[method] = trialOf(answer, part?.size === SIZE ? 'right' : 'other');
    }
    return (await this.#parts(upload)).get(1);
  }

  async #tryReads(source: string): Promise<void> {
    const key = probeKey(this.#id, 'source');
    const expiresAt = this.#access.clock() + MINUTE;
    const ref = { key, versionId: null };
    const whole = await this.#attempt(await signDownload(this.#access, ref, { expiresAt }), { body: undefined });
    const sees = (answer: Attempt, expected: Uint8Array): Trial['stored'] =>
      answer.body.equals(expected) ? 'right' : 'other';
    this.#trials.download = trialOf(whole, sees(whole, this.#wrong));
    const { 'content-disposition': disposition = '', 'content-type': type = '' } = whole.headers;
    const inert = disposition.startsWith('attachment') && type.startsWith('application/octet-stream');
    this.#trials.download_headers = trialOf(whole, inert ? 'right' : 'other');
    const ranged = await signDownload(this.#access, ref, { expiresAt, range: { offset: 10, size: 100 } });
    const range = await this.#attempt(ranged, { body: undefined });
    this.#trials.range = trialOf(range, sees(range, this.#wrong.subarray(10, 110)));
    const wider = await this.#attempt(ranged, { body: undefined, headers: { range: `bytes=0-${SIZE - 1}` } });
    this.#trials.wider_range = trialOf(wider, leaked(wider));
    const none = await this.#attempt(ranged, { body: undefined, without: ['range'] });
    this.#trials.no_range = trialOf(none, leaked(none));
    const { public: address } = this.#access;
    const bare = { method: 'GET', url: `${address.protocol}//${address.host}${address.path(source)}`, headers: {} };
    const anonymous = await this.#attempt(bare, { body: undefined });
    this.#trials.anonymous_read = trialOf(anonymous, leaked(anonymous));
    const theirs = await this.#access.uploadSigning({
      method: 'GET',
      address,
      name: source,
      headers: {},
      expiresAt,
    });
    const read = await this.#attempt(theirs, { body: undefined });
    this.#trials.upload_key_read = trialOf(read, leaked(read));
  }

  #sign(
    upload: ProbeUpload,
    number: number,
    how: { expiresAt?: number; checksum?: Digest } = {},
  ): Promise<SignedRequest> {
    const { expiresAt = this.#access.clock() + 5 * MINUTE, checksum } = how;
    const part = { number, digest: this.#digest, size: SIZE };
    const name = { s3Id: upload.s3Id, checksums: this.#checksums };
    const request = partRequest(this.#access.public, upload.name, name, part, expiresAt);
    if (checksum !== undefined) request.headers['x-amz-checksum-sha256'] = checksumOf(checksum);
    return this.#access.uploadSigning(request);
  }

  #signOwnPart(upload: ProbeUpload, number: number): Promise<SignedRequest> {
    const { internal, signing, clock } = this.#access;
    const name = { s3Id: upload.s3Id, checksums: this.#checksums };
    const part = { number, digest: this.#digest, size: SIZE };
    return signing(partRequest(internal, upload.name, name, part, clock() + 5 * MINUTE));
  }

  #signOwnObject(name: string): Promise<SignedRequest> {
    const { internal: address, signing, clock } = this.#access;
    const headers = { ...bodyHeaders({ digest: this.#digest, size: SIZE }, false), 'if-none-match': '*' };
    return signing({ method: 'PUT', address, name, headers, expiresAt: clock() + 5 * MINUTE });
  }

  async #attempt(request: OutgoingRequest, attack: Attack = {}): Promise<Attempt> {
    this.#signal?.throwIfAborted();
    return attempt(request, this.#right, attack);
  }

  #hashHeaders(digest: Digest): Record<string, string> {
    const hex = digest.slice('sha256:'.length);
    return {
      'x-amz-content-sha256': hex,
      ...(this.#checksums ? { 'x-amz-checksum-sha256': checksumOf(digest) } : {}),
    };
  }

  async #open(last: string, checksums: boolean): Promise<ProbeUpload> {
    const name = this.#access.names.toName(probeKey(this.#id, last));
    const command = new CreateMultipartUploadCommand({
      ...this.#bucket(name),
      ...(checksums ? { ChecksumAlgorithm: 'SHA256' as const } : {}),
    });
    const { UploadId } = await this.#ask('opening a probe upload', () => this.#access.client.send(command));
    return { name, s3Id: UploadId ?? '' };
  }

  async #parts(upload: ProbeUpload): Promise<Map<number, ListedPart>> {
    const command = new ListPartsCommand({ ...this.#bucket(upload.name), UploadId: upload.s3Id });
    const { Parts = [] } = await this.#ask('listing the probe parts', () => this.#access.client.send(command));
    return new Map(Parts.map((part) => [part.PartNumber ?? 0, { etag: part.ETag ?? '', size: part.Size ?? -1 }]));
  }

  async #read(name: string): Promise<Buffer | null> {
    const { Body } = await this.#ask('reading the probe object', () =>
      this.#access.client.send(new GetObjectCommand(this.#bucket(name))),
    );
    return Body ? Buffer.from(await Body.transformToByteArray()) : null;
  }

  async #readIfThere(name: string): Promise<Buffer | null> {
    try {
      return await this.#read(name);
    } catch (error) {
      if (isStoreError(error, 'object_not_found')) return null;
      throw error;
    }
  }

  /** Of an upload that was never completed. */
  async #abort(upload: ProbeUpload): Promise<void> {
    const command = new AbortMultipartUploadCommand({ ...this.#bucket(upload.name), UploadId: upload.s3Id });
    await this.#access.client.send(command).catch(() => {});
  }

  /**
   * What cannot be removed now is left for a later start. @param versionId on versioned buckets: without it a delete only
   * hides
   */
  async #remove(name: string, versionId: string | undefined): Promise<void> {
    const version = versionId === undefined ? {} : { VersionId: versionId };
    await this.#access.client.send(new DeleteObjectCommand({ ...this.#bucket(name), ...version })).catch(() => {});
  }

  #bucket(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#access.bucket, Key: name };
  }

  #copyOf(name: string): Record<string, string> {
    return { 'x-amz-copy-source': `/${this.#access.bucket}/${name}` };
  }

  async #ask<Result>(doing: string, work: () => Promise<Result>): Promise<Result> {
    this.#signal?.throwIfAborted();
    return asking(this.#access.bucket, doing, work);
  }
}

interface ListedPart {
  etag: string;
  size: number;
}

import { randomBytes } from 'node:crypto';
import type { ExecutionContext } from 'ava';
import type { BlobStore, ByteRange, SignedRequest, UploadHandle } from '../../src/blobs/blob-store.ts';
import { blobKey, type ObjectKey } from '../../src/blobs/key-layout.ts';
import { digestOf } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { newId, type UploadId } from '../../src/core/ids.ts';
import type { PlannedPart } from '../../src/core/part-plan.ts';
import { type SignedAnswer, sendSigned } from './signed-request.ts';

const HOUR = 3_600_000;

export interface PlannedObject {
  bytes: Buffer;
  parts: PlannedPart[];
  handle: UploadHandle;
  ref: { key: ObjectKey; versionId: null };
  part(number: number): PlannedPart;
  sign(number: number, expiresAt?: number): Promise<SignedRequest>;
  /** Sends the part's own bytes, unless told otherwise. */
  send(number: number, options?: Parameters<typeof sendSigned>[1]): Promise<SignedAnswer>;
}

/** Opens an upload of these bytes, cut into parts of these sizes. */
export async function plan(
  store: BlobStore,
  bytes: Buffer,
  sizes: readonly number[] = [bytes.length],
  key: ObjectKey = freshKey(bytes),
): Promise<PlannedObject> {
  let offset = 0;
  const parts = sizes.map((size, index) => {
    const digest = digestOf(bytes.subarray(offset, offset + size));
    const part = { number: index + 1, digest, offset, size };
    offset += size;
    return part;
  });
  const id = newId('upl', Date.now()) as UploadId;
  const handle = { id, key, storageUploadId: await store.uploads.create(key, id) };
  const part = (number: number): PlannedPart => parts[number - 1] as PlannedPart;
  const sign = (number: number, expiresAt = Date.now() + HOUR): Promise<SignedRequest> =>
    store.uploads.signPart(handle, part(number), expiresAt);
  return {
    bytes,
    parts,
    handle,
    ref: { key, versionId: null },
    part,
    sign,
    async send(number, options) {
      const { offset, size } = part(number);
      return sendSigned(await sign(number), { body: bytes.subarray(offset, offset + size), ...options });
    },
  };
}

export async function stored(store: BlobStore, bytes: Buffer): Promise<PlannedObject> {
  const upload = await plan(store, bytes);
  await upload.send(1);
  await store.uploads.complete(upload.handle, upload.parts);
  return upload;
}

export function freshKey(bytes: Uint8Array = randomBytes(8)): ObjectKey {
  return blobKey(digestOf(bytes), newId('upl', Date.now()) as UploadId);
}

export async function read(store: BlobStore, key: ObjectKey, range?: ByteRange): Promise<Buffer> {
  const seen: Buffer[] = [];
  for await (const chunk of await store.objects.open({ key, versionId: null }, range)) seen.push(chunk as Buffer);
  return Buffer.concat(seen);
}

/** By their digests: `deepEqual` takes a second and a half of CPU for each MiB. */
export function same(t: ExecutionContext, actual: Buffer, expected: Buffer, message?: string): void {
  t.is(actual.length, expected.length, message);
  t.is(digestOf(actual), digestOf(expected), message);
}

/**
 * A sender that still has bytes to send may see the connection close before it sees the answer: which of the two is a
 * matter of timing.
 */
export function turnedAway(t: ExecutionContext, { status }: SignedAnswer): void {
  t.true(status === 0 || (status >= 400 && status < 500), `a spoilt request was answered with ${status}`);
}

/** 501: of a method that the backend does not know there. */
export function refused(t: ExecutionContext, { status }: SignedAnswer, message?: string): void {
  t.true(
    (status >= 400 && status < 500) || status === 501,
    `${message ?? 'a spoilt request'} was answered with ${status}`,
  );
}

export async function incomplete(t: ExecutionContext, store: BlobStore, upload: PlannedObject): Promise<void> {
  const error = await t.throwsAsync(store.uploads.complete(upload.handle, upload.parts));
  t.true(isStoreError(error, 'upload_incomplete'), error?.message);
}

/** The URL with each of its parameters changed, and with each of them left out. */
export function alterations(url: string): string[] {
  const altered: string[] = [];
  for (const [name, value] of new URL(url).searchParams) {
    const last = value.at(-1) as string;
    const digit = /\d/.test(last);
    const changed = new URL(url);
    // Not the last character of a base64 text, some of whose bits may mean nothing.
    const spoilt = digit
      ? `${value.slice(0, -1)}${(Number(last) + 1) % 10}`
      : `${swap(value[0] as string)}${value.slice(1)}`;
    changed.searchParams.set(name, spoilt);
    const stripped = new URL(url);
    stripped.searchParams.delete(name);
    altered.push(changed.href, stripped.href);
  }
  return altered;
}

export function swap(letter: string): string {
  return letter === 'A' ? 'B' : 'A';
}

/** As a client that goes away after three quarters. */
export async function* breakingOff(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield* chunks(bytes.subarray(0, (bytes.length * 3) / 4), 65_536);
  throw new Error('aborted');
}

export async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size);
}

export async function* broken(): AsyncGenerator<Uint8Array> {
  yield randomBytes(1_000);
  throw new Error('the source broke');
}

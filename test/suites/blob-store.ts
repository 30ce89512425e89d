import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import type { ExecutionContext, TestFn } from 'ava';
import type { BlobStore, ByteRange, SignedRequest, UploadHandle } from '../../src/blobs/blob-store.ts';
import { blobKey, manifestKey, type ObjectKey } from '../../src/blobs/key-layout.ts';
import type { Spool } from '../../src/blobs/spool.ts';
import { digestOf } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { newId, type PackageId, type UploadId } from '../../src/core/ids.ts';
import type { PlannedPart } from '../../src/core/part-plan.ts';
import { openSigned, type SignedAnswer, sendSigned } from '../support/signed-request.ts';

/** What a backend brings along. Its signed URLs must be reachable from here. */
export interface BlobStoreHarness {
  store: BlobStore;
  /** Spools to where the store's `deliverPart` can take files from. */
  spool: Spool;
  close(): Promise<void>;
}

/** What not every backend can do. */
export const CAPABILITIES = [
  'part_digest_enforced',
  'completion_exclusive',
  'object_overwrite_refused',
  'download_range_enforced',
] as const;
export type Capability = (typeof CAPABILITIES)[number];

export interface BlobStoreSuite {
  name: string;
  /** Known before: cases are chosen by it, and the backend's health must say the same. */
  capabilities: Record<Capability, boolean>;
  open(t: ExecutionContext): Promise<BlobStoreHarness>;
}

const MIB = 1024 ** 2;
/** The smallest that S3 takes of every part but the last. */
const PART = 5 * MIB;
const HOUR = 3_600_000;

/**
 * The conformance suite of BlobStore: every backend passes it, through the contract and real HTTP alone. There is no case for
 * a capability that the backend is known to lack.
 */
export function blobStoreSuite(test: TestFn, { name, capabilities, open }: BlobStoreSuite): void {
  function check(
    title: string,
    body: (t: ExecutionContext, harness: BlobStoreHarness) => Promise<void>,
    { needs, alone = false }: { needs?: Capability; alone?: boolean } = {},
  ): void {
    if (needs !== undefined && !capabilities[needs]) return;
    const declare = alone ? test.serial : test;
    declare(`${name}: ${title}`, async (t) => {
      const harness = await open(t);
      t.teardown(() => harness.close());
      t.true((await harness.store.health()).ok);
      await body(t, harness);
    });
  }

  check('its health tells the capabilities that it is known to have, and no other', async (t, { store }) => {
    const health = await store.health();
    t.deepEqual(Object.fromEntries(CAPABILITIES.map((name) => [name, health.capabilities[name]])), capabilities);
  });

  check('an object of one part comes back as it went', async (t, { store }) => {
    for (const size of [1, 2, 65_535, 65_536, 65_537, MIB - 1, MIB, MIB + 1]) {
      const upload = await plan(store, randomBytes(size));
      t.is((await upload.send(1)).status, 200);
      t.deepEqual(
        (await store.listParts(upload.handle)).map(({ number, size }) => ({ number, size })),
        [{ number: 1, size }],
      );
      const before = await store.statObject(upload.ref);
      t.is(before, null, 'invisible until it is completed');
      const completed = await store.completeUpload(upload.handle, upload.parts);
      t.is(completed.size, size);
      if (completed.digest !== null) t.is(completed.digest, digestOf(upload.bytes));
      t.is((await store.statObject(upload.ref))?.size, size);
      same(t, await read(store, upload.ref.key), upload.bytes);
      t.deepEqual(await store.listParts(upload.handle), []);
    }
  });

  check('several parts, whatever the size of the last, sent in any order', async (t, { store }) => {
    for (const last of [1, PART - 1, PART, PART + 1]) {
      const upload = await plan(store, randomBytes(2 * PART + last), [PART, PART, last]);
      for (const number of [3, 1, 2]) t.is((await upload.send(number)).status, 200);
      const received = await store.listParts(upload.handle);
      t.deepEqual(received.map(({ number }) => number).sort(), [1, 2, 3]);
      const completed = await store.completeUpload(upload.handle, upload.parts);
      t.is(completed.size, upload.bytes.length);
      if (completed.digest !== null) t.is(completed.digest, digestOf(upload.bytes));
      t.is(digestOf(await read(store, upload.ref.key)), digestOf(upload.bytes));
    }
  });

  check(
    'wrong bytes are refused, and nothing is stored',
    async (t, { store }) => {
      const upload = await plan(store, randomBytes(100_000));
      const wrong = Buffer.from(upload.bytes);
      wrong[99_999] = (wrong[99_999] as number) ^ 1;
      refused(t, await upload.send(1, { body: wrong }));
      t.deepEqual(await store.listParts(upload.handle), []);
      await incomplete(t, store, upload);
      t.is(await store.statObject(upload.ref), null);
      t.is((await upload.send(1)).status, 200, 'the right bytes are still taken');
    },
    { needs: 'part_digest_enforced' },
  );

  check('a body that is shorter or longer than declared is refused, and nothing is stored', async (t, { store }) => {
    const upload = await plan(store, randomBytes(100_000));
    const { bytes } = upload;
    t.is((await upload.send(1, { body: bytes.subarray(0, 99_999), breakOff: true })).status, 0);
    const short = { body: bytes.subarray(0, 99_999), headers: { 'content-length': '99999' } };
    refused(t, await upload.send(1, short));
    const empty = { body: Buffer.alloc(0), headers: { 'content-length': '0' } };
    refused(t, await upload.send(1, empty));
    const long = { body: Buffer.concat([bytes, bytes]), headers: { 'content-length': '200000' } };
    turnedAway(t, await upload.send(1, long));
    t.deepEqual(await store.listParts(upload.handle), []);
    await incomplete(t, store, upload);
    t.is((await upload.send(1)).status, 200);
  });

  check('a lost part can be sent again, and nothing is completed without it', async (t, { store }) => {
    const upload = await plan(store, randomBytes(2 * PART + 3), [PART, PART, 3]);
    await upload.send(1);
    await upload.send(3);
    await incomplete(t, store, upload);
    t.is(await store.statObject(upload.ref), null);
    const again = await plan(store, randomBytes(10));
    await incomplete(t, store, again);
  });

  check('identical parts that race are one part', async (t, { store }) => {
    const upload = await plan(store, randomBytes(300_000));
    const answers = await Promise.all(Array.from({ length: 8 }, () => upload.send(1)));
    t.deepEqual(
      answers.map(({ status }) => status),
      Array(8).fill(200),
    );
    t.is((await store.listParts(upload.handle)).length, 1);
    await store.completeUpload(upload.handle, upload.parts);
    same(t, await read(store, upload.ref.key), upload.bytes);
  });

  check(
    'of completions that race one makes the object, whole',
    async (t, { store }) => {
      for (const sizes of [[200_000], [PART, 7]]) {
        const size = sizes.reduce((sum, part) => sum + part, 0);
        const upload = await plan(store, randomBytes(size), sizes);
        for (const part of upload.parts) await upload.send(part.number);
        const racing = Array.from({ length: 6 }, () => store.completeUpload(upload.handle, upload.parts));
        const ends = await Promise.allSettled(racing);
        t.is(ends.filter(({ status }) => status === 'fulfilled').length, 1);
        t.is(digestOf(await read(store, upload.ref.key)), digestOf(upload.bytes));
      }
    },
    { needs: 'completion_exclusive' },
  );

  check('after completion a part request, late or under way, fails and changes nothing', async (t, { store }) => {
    const upload = await plan(store, randomBytes(200_000));
    await upload.send(1);
    const underWay = openSigned(await upload.sign(1));
    await new Promise((resolve) => underWay.outgoing.write(upload.bytes.subarray(0, 100_000), resolve));
    await store.completeUpload(upload.handle, upload.parts);
    underWay.outgoing.end(upload.bytes.subarray(100_000));
    refused(t, await underWay.answer);
    turnedAway(t, await upload.send(1));
    turnedAway(t, await upload.send(1, { body: randomBytes(200_000) }));
    same(t, await read(store, upload.ref.key), upload.bytes);
  });

  check(
    'an object that stands is never replaced by another upload',
    async (t, { store }) => {
      const first = await plan(store, randomBytes(1_000));
      await first.send(1);
      await store.completeUpload(first.handle, first.parts);
      const second = await plan(store, randomBytes(2_000), undefined, first.ref.key);
      await second.send(1);
      await t.throwsAsync(store.completeUpload(second.handle, second.parts));
      same(t, await read(store, first.ref.key), first.bytes);
    },
    { needs: 'object_overwrite_refused' },
  );

  check('an aborted upload takes no parts and cannot be completed; aborting is idempotent', async (t, { store }) => {
    const upload = await plan(store, randomBytes(1_000));
    await upload.send(1);
    await store.abortUpload(upload.handle);
    await store.abortUpload(upload.handle);
    refused(t, await upload.send(1));
    t.deepEqual(await store.listParts(upload.handle), []);
    await t.throwsAsync(store.completeUpload(upload.handle, upload.parts));
    t.is(await store.statObject(upload.ref), null);
    const unknown = { ...upload.handle, id: newId('upl', Date.now()) as UploadId };
    await t.notThrowsAsync(store.abortUpload({ ...unknown, storageUploadId: unknown.id }));
  });

  check('an upload whose name was not kept is ended by its key, and no other', async (t, { store }) => {
    const upload = await plan(store, randomBytes(1_000));
    const other = await plan(store, randomBytes(1_000));
    await upload.send(1);
    await other.send(1);
    await store.abortUpload({ ...upload.handle, storageUploadId: null });
    await store.abortUpload({ ...upload.handle, storageUploadId: null });
    refused(t, await upload.send(1));
    t.deepEqual(await store.listParts(upload.handle), []);
    await store.completeUpload(other.handle, other.parts);
    same(t, await read(store, other.ref.key), other.bytes);
  });

  check('the service delivers a part from its spool, more than once', async (t, { store, spool }) => {
    const bytes = randomBytes(123_456);
    const upload = await plan(store, bytes);
    const spooled = await spool.receive(chunks(bytes, 10_000));
    t.deepEqual([spooled.digest, spooled.size], [digestOf(bytes), bytes.length]);
    await store.deliverPart(upload.handle, upload.part(1), spooled.file);
    await store.deliverPart(upload.handle, upload.part(1), spooled.file);
    await spooled.discard();
    await spooled.discard();
    t.is((await store.listParts(upload.handle)).length, 1);
    await store.completeUpload(upload.handle, upload.parts);
    same(t, await read(store, upload.ref.key), bytes);
  });

  check('the service delivers the parts of one file, in any order', async (t, { store, spool }) => {
    const bytes = randomBytes(2 * PART + 7);
    const upload = await plan(store, bytes, store.delivery === 'parts' ? [PART, PART, 7] : [bytes.length]);
    const spooled = await spool.receive(chunks(bytes, 100_000));
    for (const part of upload.parts.toReversed()) await store.deliverPart(upload.handle, part, spooled.file);
    const beyond = { ...upload.part(1), number: 9, offset: bytes.length };
    await t.throwsAsync(store.deliverPart(upload.handle, beyond, spooled.file), undefined, 'bytes that are not there');
    await spooled.discard();
    await store.completeUpload(upload.handle, upload.parts);
    same(t, await read(store, upload.ref.key), bytes);
  });

  check('a part passes through as it comes, and only as planned', async (t, { store }) => {
    const bytes = randomBytes(400_000);
    const upload = await plan(store, bytes);
    const other = randomBytes(bytes.length);
    for (const [wrong, code] of [
      [other, 'part_digest_mismatch'],
      [bytes.subarray(1), 'body_length_mismatch'],
      [Buffer.concat([bytes, other]), 'body_length_mismatch'],
    ] as const) {
      const error = await t.throwsAsync(store.streamPart(upload.handle, upload.part(1), chunks(wrong, 65_536)));
      t.true(isStoreError(error, code), String(error));
      t.deepEqual(await store.listParts(upload.handle), []);
    }
    const broken = await t.throwsAsync(store.streamPart(upload.handle, upload.part(1), breakingOff(bytes)));
    t.true(isStoreError(broken, 'body_length_mismatch'), String(broken));
    t.deepEqual(await store.listParts(upload.handle), []);
    await store.streamPart(upload.handle, upload.part(1), chunks(bytes, 65_536));
    await store.completeUpload(upload.handle, upload.parts);
    t.deepEqual(await read(store, upload.ref.key), bytes);
    const late = await t.throwsAsync(store.streamPart(upload.handle, upload.part(1), chunks(bytes, 65_536)));
    // Storage may close the connection before its answer was read: the bytes cannot be sent again to hear it.
    t.true(isStoreError(late, 'upload_closed') || isStoreError(late, 'unavailable'), String(late));
    t.deepEqual(await read(store, upload.ref.key), bytes);
  });

  check('a part URL that is expired, altered or used for anything else is refused', async (t, { store }) => {
    const upload = await plan(store, randomBytes(PART + 100), [PART, 100]);
    const other = await plan(store, randomBytes(100));
    const body = upload.bytes.subarray(PART);
    refused(t, await sendSigned(await upload.sign(2, Date.now() - 2_000), { body }));
    const request = await upload.sign(2);
    for (const url of alterations(request.url)) refused(t, await sendSigned({ ...request, url }, { body }), url);
    for (const method of ['GET', 'POST', 'DELETE']) refused(t, await sendSigned(request, { method, body }), method);
    const elsewhere = await other.sign(1);
    const query = request.url.slice(request.url.indexOf('?'));
    const moved = { ...elsewhere, url: elsewhere.url.replace(/\?.*/, '') + query };
    refused(t, await sendSigned(moved, { body: other.bytes }), 'the signature of another upload');
    t.deepEqual(await store.listParts(upload.handle), []);
    t.deepEqual(await store.listParts(other.handle), []);
    t.is((await sendSigned(request, { body })).status, 200, 'as it was given it works');
  });

  check('a download URL gives the object, until it expires, to who did not alter it', async (t, { store }) => {
    const { ref, bytes } = await stored(store, randomBytes(70_000));
    const objectId = newId('obj', Date.now());
    const sign = (expiresAt: number, range?: ByteRange): Promise<SignedRequest> =>
      store.signDownload(ref, { objectId, expiresAt, range });
    const request = await sign(Date.now() + HOUR);
    t.is(request.method, 'GET');
    const answer = await sendSigned(request);
    t.is(answer.status, 200);
    same(t, answer.body, bytes);
    refused(t, await sendSigned(await sign(Date.now() - 2_000)));
    for (const url of alterations(request.url)) refused(t, await sendSigned({ ...request, url }), url);
    for (const method of ['PUT', 'POST', 'DELETE']) refused(t, await sendSigned(request, { method }), method);
    same(t, await read(store, ref.key), bytes);
  });

  check(
    'a download URL for a range gives that range alone',
    async (t, { store }) => {
      const { ref, bytes } = await stored(store, randomBytes(70_000));
      const range = { offset: 512, size: 1_000 };
      const objectId = newId('obj', Date.now());
      const request = await store.signDownload(ref, { objectId, expiresAt: Date.now() + HOUR, range });
      const answer = await sendSigned(request);
      t.is(answer.status, 206);
      t.deepEqual(answer.body, bytes.subarray(512, 1_512));
      refused(t, await sendSigned(request, { headers: { range: 'bytes=0-69999' } }));
      refused(t, await sendSigned({ ...request, headers: {} }));
    },
    { needs: 'download_range_enforced' },
  );

  check('ranges of an object', async (t, { store }) => {
    const { ref, bytes } = await stored(store, randomBytes(300_000));
    for (const [offset, size] of [
      [0, 1],
      [0, 300_000],
      [299_999, 1],
      [1, 65_536],
      [131_071, 2],
    ] as const) {
      same(t, await read(store, ref.key, { offset, size }), bytes.subarray(offset, offset + size));
    }
    await t.throwsAsync(async () => read(store, ref.key, { offset: 299_999, size: 2 }));
    const stream = await store.openObject(ref);
    stream.destroy();
    same(t, await read(store, ref.key), bytes, 'a reader that goes away disturbs nobody');
  });

  check('what is absent: open says so, stat is null, remove is no error', async (t, { store }) => {
    const ref = { key: freshKey(), versionId: null };
    const error = await t.throwsAsync(store.openObject(ref));
    t.true(isStoreError(error, 'object_not_found'));
    t.is(await store.statObject(ref), null);
    await store.removeObject(ref);
    const there = await stored(store, randomBytes(10));
    await store.removeObject(there.ref);
    await store.removeObject(there.ref);
    t.is(await store.statObject(there.ref), null);
    t.true(isStoreError(await t.throwsAsync(store.openObject(there.ref)), 'object_not_found'));
    const unknown = { id: newId('upl', 1) as UploadId, key: ref.key, storageUploadId: newId('upl', 1) };
    t.deepEqual(await store.listParts(unknown), []);
  });

  check('a reader goes on reading what is removed meanwhile', async (t, { store }) => {
    const { ref, bytes } = await stored(store, randomBytes(2 * MIB));
    const stream = await store.openObject(ref);
    await store.removeObject(ref);
    const seen: Buffer[] = [];
    for await (const chunk of stream) seen.push(chunk as Buffer);
    same(t, Buffer.concat(seen), bytes);
  });

  check('the list is ordered by key and holds the prefix alone', async (t, { store }) => {
    const id = newId('pkg', Date.now());
    const names = ['a/b', 'a-b', 'a.b', 'a0', 'b', 'a/a/a', 'a/a.a', 'ab/c'];
    const keys = names.map((last) => `packages/${id}/${last}` as ObjectKey);
    for (const key of keys) await store.writeObject(key, chunks(Buffer.from(key), 7));
    const listed = async (prefix: string): Promise<string[]> => {
      const found: string[] = [];
      for await (const { key, size, modifiedAt } of store.listObjects(prefix)) {
        found.push(key);
        t.is(size, key.length);
        t.true(Math.abs(Date.now() - modifiedAt) < 24 * HOUR);
      }
      return found;
    };
    const sorted = [...keys].sort();
    t.deepEqual(await listed(`packages/${id}/`), sorted);
    for (const end of ['a', 'a/', 'a/a', 'a.', 'b', 'c', 'a/b', 'a/b/']) {
      const prefix = `packages/${id}/${end}`;
      t.deepEqual(
        await listed(prefix),
        sorted.filter((key) => key.startsWith(prefix)),
        prefix,
      );
    }
    const upload = await plan(store, randomBytes(10));
    await upload.send(1);
    t.deepEqual(await listed(upload.ref.key), [], 'an upload is no object');
  });

  check('writing an object of its own twice: the same bytes are no change, others an error', async (t, { store }) => {
    const key = manifestKey(newId('pkg', Date.now()) as PackageId);
    const ref = { key, versionId: null };
    const bytes = Buffer.from('{"schema":"artifact-store/manifest/v1"}');
    const expected = { size: bytes.length, digest: digestOf(bytes) };
    const racing = Array.from({ length: 5 }, () => store.writeObject(key, chunks(bytes, 5)));
    for (const written of await Promise.all(racing)) t.deepEqual(written, expected);
    await t.throwsAsync(store.writeObject(key, chunks(Buffer.from('other bytes'), 5)));
    await t.throwsAsync(store.writeObject(key, chunks(bytes.subarray(0, 10), 5)));
    t.is(await text(await store.openObject(ref)), bytes.toString());
    const empty = manifestKey(newId('pkg', Date.now()) as PackageId);
    t.is((await store.writeObject(empty, chunks(Buffer.alloc(0), 1))).size, 0);
    t.is((await read(store, empty)).length, 0);
  });

  check('a write whose source fails leaves nothing', async (t, { store, spool }) => {
    const key = manifestKey(newId('pkg', Date.now()) as PackageId);
    await t.throwsAsync(store.writeObject(key, broken()));
    t.is(await store.statObject({ key, versionId: null }), null);
    await t.throwsAsync(spool.receive(broken()));
    const error = await t.throwsAsync(spool.receive(chunks(randomBytes(101), 10), { maxSize: 100 }));
    t.true(isStoreError(error, 'body_too_large'));
    t.is((await spool.receive(chunks(randomBytes(100), 10), { maxSize: 100 })).size, 100);
  });

  check('what is no key leads nowhere', async (t, { store }) => {
    const hostile = [
      '',
      '/',
      '/etc/passwd',
      '..',
      '../outside',
      'objects/../../outside',
      'objects/./x',
      'objects//x',
      'objects/x/',
      'objects/.hidden',
      'OBJECTS/x',
      'objects/a\u0000b',
      'objects/a\\..\\b',
      'objects/ü',
      `objects/${'x'.repeat(300)}`,
      'x/'.repeat(300),
    ] as ObjectKey[];
    for (const key of hostile) {
      const ref = { key, versionId: null };
      await t.throwsAsync(async () => store.writeObject(key, chunks(Buffer.from('x'), 1)), undefined, key);
      await t.throwsAsync(async () => store.createUpload(key, newId('upl', Date.now()) as UploadId), undefined, key);
      await t.throwsAsync(async () => store.openObject(ref), undefined, key);
      await t.throwsAsync(async () => store.statObject(ref), undefined, key);
      await t.throwsAsync(async () => store.removeObject(ref), undefined, key);
    }
    for (const prefix of ['../', '/', 'objects/../', '..', 'objects/\u0000']) {
      const found: string[] = [];
      try {
        for await (const { key } of store.listObjects(prefix)) found.push(key);
      } catch (error) {
        t.true(error instanceof Error);
      }
      t.deepEqual(found, [], prefix);
    }
  });

  check(
    'large objects stream, in and out, through bounded memory',
    async (t, { store, spool }) => {
      const block = randomBytes(64 * 1024);
      let peak = 0;
      const watch = (): void => {
        peak = Math.max(peak, process.memoryUsage.rss());
      };
      async function* body(size: number): AsyncGenerator<Uint8Array> {
        for (let sent = 0; sent < size; sent += block.length) {
          watch();
          yield block;
        }
      }
      async function inAndOut(size: number): Promise<void> {
        const key = manifestKey(newId('pkg', Date.now()) as PackageId);
        const written = await store.writeObject(key, body(size));
        const spooled = await spool.receive(body(size));
        t.deepEqual([written.size, spooled.size], [size, size]);
        t.is(written.digest, spooled.digest);
        await spooled.discard();
        let read = 0;
        for await (const chunk of await store.openObject({ key, versionId: null })) {
          read += (chunk as Buffer).length;
          watch();
        }
        t.is(read, size);
      }
      // What is loaded and pooled at first use does not grow with the object.
      await inAndOut(64 * MIB);
      const start = process.memoryUsage.rss();
      peak = start;
      const size = 192 * MIB;
      await inAndOut(size);
      t.true(peak - start < size / 2, `${Math.round((peak - start) / MIB)} MiB more for ${size / MIB} MiB`);
    },
    { alone: true },
  );

  check('health tells what it found, and never throws', async (t, { store }) => {
    const health = await store.health();
    t.is(health.kind, store.kind);
    t.true(health.ok);
    t.true(health.latency_ms >= 0);
    t.true(health.free_bytes === null || health.free_bytes > 0);
    t.true(health.capabilities.writable);
    t.is(health.error, undefined);
  });
}

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
  const handle = { id, key, storageUploadId: await store.createUpload(key, id) };
  const part = (number: number): PlannedPart => parts[number - 1] as PlannedPart;
  const sign = (number: number, expiresAt = Date.now() + HOUR): Promise<SignedRequest> =>
    store.signPart(handle, part(number), expiresAt);
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

async function stored(store: BlobStore, bytes: Buffer): Promise<PlannedObject> {
  const upload = await plan(store, bytes);
  await upload.send(1);
  await store.completeUpload(upload.handle, upload.parts);
  return upload;
}

function freshKey(bytes: Uint8Array = randomBytes(8)): ObjectKey {
  return blobKey(digestOf(bytes), newId('upl', Date.now()) as UploadId);
}

async function read(store: BlobStore, key: ObjectKey, range?: ByteRange): Promise<Buffer> {
  const seen: Buffer[] = [];
  for await (const chunk of await store.openObject({ key, versionId: null }, range)) seen.push(chunk as Buffer);
  return Buffer.concat(seen);
}

/** By their digests: `deepEqual` takes a second and a half of CPU for each MiB. */
function same(t: ExecutionContext, actual: Buffer, expected: Buffer, message?: string): void {
  t.is(actual.length, expected.length, message);
  t.is(digestOf(actual), digestOf(expected), message);
}

/**
 * A sender that still has bytes to send may see the connection close before it sees the answer: which of the two is a
 * matter of timing.
 */
function turnedAway(t: ExecutionContext, { status }: SignedAnswer): void {
  t.true(status === 0 || (status >= 400 && status < 500), `a spoilt request was answered with ${status}`);
}

/** 501: of a method that the backend does not know there. */
function refused(t: ExecutionContext, { status }: SignedAnswer, message?: string): void {
  t.true(
    (status >= 400 && status < 500) || status === 501,
    `${message ?? 'a spoilt request'} was answered with ${status}`,
  );
}

async function incomplete(t: ExecutionContext, store: BlobStore, upload: PlannedObject): Promise<void> {
  const error = await t.throwsAsync(store.completeUpload(upload.handle, upload.parts));
  t.true(isStoreError(error, 'upload_incomplete'), error?.message);
}

/** The URL with each of its parameters changed, and with each of them left out. */
function alterations(url: string): string[] {
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

function swap(letter: string): string {
  return letter === 'A' ? 'B' : 'A';
}

/** As a client that goes away after three quarters. */
async function* breakingOff(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield* chunks(bytes.subarray(0, (bytes.length * 3) / 4), 65_536);
  throw new Error('aborted');
}

async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size);
}

async function* broken(): AsyncGenerator<Uint8Array> {
  yield randomBytes(1_000);
  throw new Error('the source broke');
}

import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import type { ByteRange, SignedRequest } from '../../src/blobs/blob-store.ts';
import { manifestKey, type ObjectKey } from '../../src/blobs/key-layout.ts';
import { digestOf } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { newId, type PackageId, type UploadId } from '../../src/core/ids.ts';
import type { Check } from '../support/blob-check.ts';
import { alterations, broken, chunks, freshKey, plan, read, refused, same, stored } from '../support/planned-object.ts';
import { sendSigned } from '../support/signed-request.ts';

const MIB = 1024 ** 2;
const HOUR = 3_600_000;

/** What every backend holds of `ObjectReader`. */
export function objectReaderSuite(check: Check): void {
  check('a download URL returns the object until it expires, unless it was altered', async (t, { store }) => {
    const { ref, bytes } = await stored(store, randomBytes(70_000));
    const objectId = newId('obj', Date.now());
    const sign = (expiresAt: number, range?: ByteRange): Promise<SignedRequest> =>
      store.objects.signDownload(ref, { objectId, expiresAt, range });
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
      const request = await store.objects.signDownload(ref, { objectId, expiresAt: Date.now() + HOUR, range });
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
    const stream = await store.objects.open(ref);
    stream.destroy();
    same(t, await read(store, ref.key), bytes, 'a reader that goes away disturbs nobody');
  });

  check('an absent object: open says so, stat is null, remove is not an error', async (t, { store }) => {
    const ref = { key: freshKey(), versionId: null };
    const error = await t.throwsAsync(store.objects.open(ref));
    t.true(isStoreError(error, 'object_not_found'));
    t.is(await store.objects.stat(ref), null);
    await store.objects.remove(ref);
    const there = await stored(store, randomBytes(10));
    await store.objects.remove(there.ref);
    await store.objects.remove(there.ref);
    t.is(await store.objects.stat(there.ref), null);
    t.true(isStoreError(await t.throwsAsync(store.objects.open(there.ref)), 'object_not_found'));
    const unknown = { id: newId('upl', 1) as UploadId, key: ref.key, storageUploadId: newId('upl', 1) };
    t.is(await store.uploads.listParts(unknown), null);
  });

  check('a reader continues reading an object that is removed meanwhile', async (t, { store }) => {
    const { ref, bytes } = await stored(store, randomBytes(2 * MIB));
    const stream = await store.objects.open(ref);
    await store.objects.remove(ref);
    const seen: Buffer[] = [];
    for await (const chunk of stream) seen.push(chunk as Buffer);
    same(t, Buffer.concat(seen), bytes);
  });

  check('the list is ordered by key and has only keys with the prefix', async (t, { store }) => {
    const id = newId('pkg', Date.now());
    const names = ['a/b', 'a-b', 'a.b', 'a0', 'b', 'a/a/a', 'a/a.a', 'ab/c'];
    const keys = names.map((last) => `packages/${id}/${last}` as ObjectKey);
    for (const key of keys) await store.objects.write(key, chunks(Buffer.from(key), 7));
    const listed = async (prefix: string): Promise<string[]> => {
      const found: string[] = [];
      for await (const { key, size, modifiedAt } of store.objects.list(prefix)) {
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
}

/** What every backend holds of `Objects`, beside what readers are given. */
export function objectsSuite(check: Check): void {
  check('writing an object of its own twice: the same bytes are no change, others an error', async (t, { store }) => {
    const key = manifestKey(newId('pkg', Date.now()) as PackageId);
    const ref = { key, versionId: null };
    const bytes = Buffer.from('{"schema":"artifact-store/manifest/v1"}');
    const expected = { size: bytes.length, digest: digestOf(bytes), versionId: null };
    const racing = Array.from({ length: 5 }, () => store.objects.write(key, chunks(bytes, 5)));
    for (const written of await Promise.all(racing)) t.deepEqual(written, expected);
    await t.throwsAsync(store.objects.write(key, chunks(Buffer.from('other bytes'), 5)));
    await t.throwsAsync(store.objects.write(key, chunks(bytes.subarray(0, 10), 5)));
    t.is(await text(await store.objects.open(ref)), bytes.toString());
    const empty = manifestKey(newId('pkg', Date.now()) as PackageId);
    t.is((await store.objects.write(empty, chunks(Buffer.alloc(0), 1))).size, 0);
    t.is((await read(store, empty)).length, 0);
  });

  check('a write whose source fails leaves nothing', async (t, { store, spool }) => {
    const key = manifestKey(newId('pkg', Date.now()) as PackageId);
    await t.throwsAsync(store.objects.write(key, broken()));
    t.is(await store.objects.stat({ key, versionId: null }), null);
    await t.throwsAsync(spool.receive(broken()));
    const error = await t.throwsAsync(spool.receive(chunks(randomBytes(101), 10), { maxSize: 100 }));
    t.true(isStoreError(error, 'body_too_large'));
    t.is((await spool.receive(chunks(randomBytes(100), 10), { maxSize: 100 })).size, 100);
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
        const written = await store.objects.write(key, body(size));
        const spooled = await spool.receive(body(size));
        t.deepEqual([written.size, spooled.size], [size, size]);
        t.is(written.digest, spooled.digest);
        await spooled.discard();
        let read = 0;
        for await (const chunk of await store.objects.open({ key, versionId: null })) {
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
}

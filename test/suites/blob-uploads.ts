import { randomBytes } from 'node:crypto';
import { digestOf } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { newId, type UploadId } from '../../src/core/ids.ts';
import type { Check } from '../support/blob-check.ts';
import {
  alterations,
  breakingOff,
  chunks,
  incomplete,
  plan,
  read,
  refused,
  same,
  turnedAway,
} from '../support/planned-object.ts';
import { openSigned, sendSigned } from '../support/signed-request.ts';

const MIB = 1024 ** 2;
/** The smallest that S3 takes of every part but the last. */
const PART = 5 * MIB;

/** What every backend holds of `Uploads`. */
export function uploadsSuite(check: Check): void {
  check('an object of one part comes back unchanged', async (t, { store }) => {
    for (const size of [1, 2, 65_535, 65_536, 65_537, MIB - 1, MIB, MIB + 1]) {
      const upload = await plan(store, randomBytes(size));
      t.is((await upload.send(1)).status, 200);
      t.deepEqual(
        (await store.uploads.listParts(upload.handle))?.map(({ number, size }) => ({ number, size })),
        [{ number: 1, size }],
      );
      const before = await store.objects.stat(upload.ref);
      t.is(before, null, 'invisible until it is completed');
      const completed = await store.uploads.complete(upload.handle, upload.parts);
      t.is(completed.size, size);
      if (completed.digest !== null) t.is(completed.digest, digestOf(upload.bytes));
      t.is((await store.objects.stat(upload.ref))?.size, size);
      same(t, await read(store, upload.ref.key), upload.bytes);
      t.is(await store.uploads.listParts(upload.handle), null, 'it is over');
    }
  });

  check(
    'an upload that was not completed is dropped; what stands under its key is another’s, and stays',
    async (t, { store }) => {
      const upload = await plan(store, randomBytes(1_000));
      t.is((await upload.send(1)).status, 200);
      await store.objects.write(upload.ref.key, chunks(upload.bytes, 1_000));
      t.is(await store.uploads.drop(upload.handle, 'not_sent', null), 'dropped');
      same(t, await read(store, upload.ref.key), upload.bytes);
      t.is(await store.uploads.listParts(upload.handle), null, 'it is over');
    },
  );

  check('what became of a completion is said for certain, or not at all', async (t, { store }) => {
    for (const made of [true, false]) {
      const upload = await plan(store, randomBytes(1_000));
      t.is((await upload.send(1)).status, 200);
      if (made) await store.uploads.complete(upload.handle, upload.parts);
      const settled = await store.uploads.settle(upload.handle);
      if (store.kind === 's3') t.is(settled, 'unknown');
      else if (made) t.like(settled, { size: 1_000 });
      else t.is(settled, 'nothing');
      t.is((await store.objects.stat(upload.ref))?.size, made ? 1_000 : undefined);
      if (settled === 'nothing') t.is(await store.uploads.listParts(upload.handle), null, 'it is over');
    }
  });

  check('after an unclean completion nothing is removed: what stands is left to the sweep', async (t, { store }) => {
    for (const stands of [true, false]) {
      const upload = await plan(store, randomBytes(1_000));
      t.is((await upload.send(1)).status, 200);
      if (stands) await store.objects.write(upload.ref.key, chunks(upload.bytes, 1_000));
      const outcome = await store.uploads.drop(upload.handle, 'unclean', null);
      t.is(outcome, stands || store.kind === 's3' ? 'later' : 'dropped');
      t.is((await store.objects.stat(upload.ref))?.size, stands ? 1_000 : undefined);
    }
  });

  check('several parts, whatever the size of the last, sent in any order', async (t, { store }) => {
    for (const last of [1, PART - 1, PART, PART + 1]) {
      const upload = await plan(store, randomBytes(2 * PART + last), [PART, PART, last]);
      for (const number of [3, 1, 2]) t.is((await upload.send(number)).status, 200);
      const received = await store.uploads.listParts(upload.handle);
      t.deepEqual(received?.map(({ number }) => number).sort(), [1, 2, 3]);
      const completed = await store.uploads.complete(upload.handle, upload.parts);
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
      t.deepEqual(await store.uploads.listParts(upload.handle), []);
      await incomplete(t, store, upload);
      t.is(await store.objects.stat(upload.ref), null);
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
    t.deepEqual(await store.uploads.listParts(upload.handle), []);
    await incomplete(t, store, upload);
    t.is((await upload.send(1)).status, 200);
  });

  check('a lost part can be sent again, and nothing is completed without it', async (t, { store }) => {
    const upload = await plan(store, randomBytes(2 * PART + 3), [PART, PART, 3]);
    await upload.send(1);
    await upload.send(3);
    await incomplete(t, store, upload);
    t.is(await store.objects.stat(upload.ref), null);
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
    t.is((await store.uploads.listParts(upload.handle))?.length, 1);
    await store.uploads.complete(upload.handle, upload.parts);
    same(t, await read(store, upload.ref.key), upload.bytes);
  });

  check(
    'if completions race, one creates the object, whole',
    async (t, { store }) => {
      for (const sizes of [[200_000], [PART, 7]]) {
        const size = sizes.reduce((sum, part) => sum + part, 0);
        const upload = await plan(store, randomBytes(size), sizes);
        for (const part of upload.parts) await upload.send(part.number);
        const racing = Array.from({ length: 6 }, () => store.uploads.complete(upload.handle, upload.parts));
        const ends = await Promise.allSettled(racing);
        t.is(ends.filter(({ status }) => status === 'fulfilled').length, 1);
        t.is(digestOf(await read(store, upload.ref.key)), digestOf(upload.bytes));
      }
    },
    { needs: 'completion_exclusive' },
  );

  check('after completion a part request, late or in flight, fails and changes nothing', async (t, { store }) => {
    const upload = await plan(store, randomBytes(200_000));
    await upload.send(1);
    const underWay = openSigned(await upload.sign(1));
    await new Promise((resolve) => underWay.outgoing.write(upload.bytes.subarray(0, 100_000), resolve));
    await store.uploads.complete(upload.handle, upload.parts);
    underWay.outgoing.end(upload.bytes.subarray(100_000));
    refused(t, await underWay.answer);
    turnedAway(t, await upload.send(1));
    turnedAway(t, await upload.send(1, { body: randomBytes(200_000) }));
    same(t, await read(store, upload.ref.key), upload.bytes);
  });

  check(
    'an existing object is never replaced by another upload',
    async (t, { store }) => {
      const first = await plan(store, randomBytes(1_000));
      await first.send(1);
      await store.uploads.complete(first.handle, first.parts);
      const second = await plan(store, randomBytes(2_000), undefined, first.ref.key);
      await second.send(1);
      await t.throwsAsync(store.uploads.complete(second.handle, second.parts));
      same(t, await read(store, first.ref.key), first.bytes);
    },
    { needs: 'object_overwrite_refused' },
  );

  check('an aborted upload accepts no parts and cannot be completed; aborting is idempotent', async (t, { store }) => {
    const upload = await plan(store, randomBytes(1_000));
    await upload.send(1);
    await store.uploads.abort(upload.handle);
    await store.uploads.abort(upload.handle);
    refused(t, await upload.send(1));
    t.is(await store.uploads.listParts(upload.handle), null, 'it is over');
    await t.throwsAsync(store.uploads.complete(upload.handle, upload.parts));
    t.is(await store.objects.stat(upload.ref), null);
    const unknown = { ...upload.handle, id: newId('upl', Date.now()) as UploadId };
    await t.notThrowsAsync(store.uploads.abort({ ...unknown, storageUploadId: unknown.id }));
  });

  check('an upload whose name was not recorded is ended by its key, and no other is', async (t, { store }) => {
    const upload = await plan(store, randomBytes(1_000));
    const other = await plan(store, randomBytes(1_000));
    await upload.send(1);
    await other.send(1);
    await store.uploads.abort({ ...upload.handle, storageUploadId: null });
    await store.uploads.abort({ ...upload.handle, storageUploadId: null });
    refused(t, await upload.send(1));
    t.is(await store.uploads.listParts(upload.handle), null, 'it is over');
    await store.uploads.complete(other.handle, other.parts);
    same(t, await read(store, other.ref.key), other.bytes);
  });

  check('the service delivers a part from its spool, more than once', async (t, { store, spool }) => {
    const bytes = randomBytes(123_456);
    const upload = await plan(store, bytes);
    const spooled = await spool.receive(chunks(bytes, 10_000));
    t.deepEqual([spooled.digest, spooled.size], [digestOf(bytes), bytes.length]);
    await store.uploads.deliverPart(upload.handle, upload.part(1), spooled.file);
    await store.uploads.deliverPart(upload.handle, upload.part(1), spooled.file);
    await spooled.discard();
    await spooled.discard();
    t.is((await store.uploads.listParts(upload.handle))?.length, 1);
    await store.uploads.complete(upload.handle, upload.parts);
    same(t, await read(store, upload.ref.key), bytes);
  });

  check('the service delivers the parts of one file, in any order', async (t, { store, spool }) => {
    const bytes = randomBytes(2 * PART + 7);
    const upload = await plan(store, bytes, store.uploads.delivery === 'parts' ? [PART, PART, 7] : [bytes.length]);
    const spooled = await spool.receive(chunks(bytes, 100_000));
    for (const part of upload.parts.toReversed()) await store.uploads.deliverPart(upload.handle, part, spooled.file);
    const beyond = { ...upload.part(1), number: 9, offset: bytes.length };
    await t.throwsAsync(
      store.uploads.deliverPart(upload.handle, beyond, spooled.file),
      undefined,
      'bytes that are not there',
    );
    await spooled.discard();
    await store.uploads.complete(upload.handle, upload.parts);
    same(t, await read(store, upload.ref.key), bytes);
  });

  check('a part is forwarded as it arrives, and only if it matches the plan', async (t, { store }) => {
    const bytes = randomBytes(400_000);
    const upload = await plan(store, bytes);
    const other = randomBytes(bytes.length);
    for (const [wrong, code] of [
      [other, 'part_digest_mismatch'],
      [bytes.subarray(1), 'body_length_mismatch'],
      [Buffer.concat([bytes, other]), 'body_length_mismatch'],
    ] as const) {
      const error = await t.throwsAsync(store.uploads.streamPart(upload.handle, upload.part(1), chunks(wrong, 65_536)));
      t.true(isStoreError(error, code), String(error));
      t.deepEqual(await store.uploads.listParts(upload.handle), []);
    }
    const broken = await t.throwsAsync(store.uploads.streamPart(upload.handle, upload.part(1), breakingOff(bytes)));
    t.true(isStoreError(broken, 'body_length_mismatch'), String(broken));
    t.deepEqual(await store.uploads.listParts(upload.handle), []);
    await store.uploads.streamPart(upload.handle, upload.part(1), chunks(bytes, 65_536));
    await store.uploads.complete(upload.handle, upload.parts);
    t.deepEqual(await read(store, upload.ref.key), bytes);
    const late = await t.throwsAsync(store.uploads.streamPart(upload.handle, upload.part(1), chunks(bytes, 65_536)));
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
    t.deepEqual(await store.uploads.listParts(upload.handle), []);
    t.deepEqual(await store.uploads.listParts(other.handle), []);
    t.is((await sendSigned(request, { body })).status, 200, 'as it was given it works');
  });
}

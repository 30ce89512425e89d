import { chmod, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import test from 'ava';
import { checkStream } from '../../src/blobs/stream-check.ts';
import type { Digest } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { apiOf, sha256 } from '../support/api.ts';
import { packageOf, planEncoded, preserveEncoded, sendEncoded } from '../support/encoded-upload.ts';
import { encodedAs, entriesOf, framedPack } from '../support/frames.ts';
import { usualOrLong } from '../support/long.ts';
import { startTestService } from '../support/service.ts';

// Every byte, or every bit, of a small pack in frames is changed; where a service is asked for each, `npm test` takes every ninth
// byte. On a folder: the code that decides is the same everywhere.

const FILES = {
  one: 'the first of them, and nothing else; '.repeat(20),
  two: 'the second; '.repeat(9),
  three: 'the third of them; '.repeat(7),
  four: 'four',
};
const PACK = framedPack(Object.values(FILES), [1, 2, 1]);
/** The files whose bytes are in each frame. */
const IN_FRAME = [['one'], ['two', 'three'], ['four']];

const WHICH = usualOrLong('every ninth', 'every');

/** Of so many bytes, those that are changed: all of them, or every ninth, the first and the last. */
function places(size: number): number[] {
  const all = Array.from({ length: size }, (_, at) => at);
  return usualOrLong(
    all.filter((at) => at % 9 === 0 || at === size - 1),
    all,
  );
}

function flipped(bytes: Buffer, at: number, bit = 1): Buffer {
  const changed = Buffer.from(bytes);
  changed.writeUInt8((changed[at] as number) ^ bit, at);
  return changed;
}

/** The frame that holds the stored byte; null: the seek table does. */
function frameAt(at: number): number | null {
  let end = 0;
  for (const [index, { bytes }] of PACK.frames.entries()) {
    end += bytes.length;
    if (at < end) return index;
  }
  return null;
}

/** What came, whether it ended well or not. */
function read(url: string, headers = {}): Promise<{ status: number; bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    get(url, { headers }, (answer) => {
      const pieces: Buffer[] = [];
      answer.on('data', (piece: Buffer) => pieces.push(piece));
      answer.on('error', () => {});
      answer.on('close', () => resolve({ status: answer.statusCode ?? 0, bytes: Buffer.concat(pieces) }));
    }).on('error', reject);
  });
}

/** Of the stored bytes as they are verified; the stored digest is left out, which would see every change. */
function digestAsStored(stored: Buffer): Promise<Digest | null> {
  async function* stream(): AsyncGenerator<Buffer> {
    yield stored;
  }
  const frames = entriesOf(PACK.frames);
  return checkStream(stream(), { members: PACK.members, whole: true, stored: { frames, digest: null } });
}

/** zstd leaves a few bits open, as padding: they may be anything, and the content is the same. */
async function meansNothing(at: number, bit = 1): Promise<boolean> {
  try {
    return (await digestAsStored(flipped(PACK.bytes, at, bit))) === PACK.plan.digest;
  } catch (error) {
    if (isStoreError(error, 'invalid_frames')) return false;
    throw error;
  }
}

test('every bit of the stored bytes: a change is refused when they are verified, or changes nothing', async (t) => {
  const { bytes, plan } = PACK;
  t.is(await digestAsStored(bytes), plan.digest as Digest);
  let unseen = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    for (let bit = 1; bit < 256; bit *= 2) {
      if (!(await meansNothing(at, bit))) continue;
      unseen += 1;
      t.not(frameAt(at), null, 'the seek table is held against the frames, bit by bit');
    }
  }
  t.log(`${bytes.length} bytes; of ${8 * bytes.length} bits, ${unseen} mean nothing to zstd`);
  t.true(unseen < (8 * bytes.length) / 50);
});

test(`${WHICH} byte of an encoded pack: changed on the way it does not arrive, and what is right then does`, async (t) => {
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const id = await packageOf(api, FILES);
  const [upload] = (await planEncoded(api, id, PACK.plan)).body.uploads;
  for (const at of places(PACK.bytes.length)) {
    const sent = await api.send(upload.parts[0], flipped(PACK.bytes, at));
    t.deepEqual([sent.status, sent.body.code], [400, 'part_digest_mismatch'], `byte ${at}`);
  }
  t.is((await sendEncoded(api, id, PACK)).answer.body.state, 'stored');
});

test(`${WHICH} byte of an encoded pack: a client that means it so is refused at commit`, async (t) => {
  t.timeout(300_000);
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const id = await packageOf(api, FILES);
  for (const at of places(PACK.bytes.length)) {
    // Then it is another stored form of the same content, as good as this one.
    if (await meansNothing(at)) continue;
    const bytes = flipped(PACK.bytes, at);
    const { answer } = await sendEncoded(api, id, { bytes, plan: { ...PACK.plan, stored_digest: sha256(bytes) } });
    t.deepEqual([answer.status, answer.body.code], [422, 'invalid_frames'], `byte ${at}: ${answer.body.detail}`);
  }
  const { body } = await api.get(`/v1/packages/${id}/files`);
  t.true(body.items.every(({ state }: { state: string }) => state === 'missing'));
  t.is((await sendEncoded(api, id, PACK)).answer.body.state, 'stored');
});

test(`${WHICH} byte of the frame table in a plan: refused when it is planned or committed`, async (t) => {
  t.timeout(300_000);
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const id = await packageOf(api, FILES);
  const entries = entriesOf(PACK.frames);
  for (const at of places(entries.length)) {
    const frames = flipped(entries, at).toString('base64');
    const planned = await planEncoded(api, id, { ...PACK.plan, frames });
    t.deepEqual([planned.status, planned.body.code], [422, 'invalid_frames'], `byte ${at}`);
  }
  // Sizes that fit together, and are not those of the frames.
  const [a, b, c] = PACK.frames as [{ bytes: Buffer; logical: number }, { bytes: Buffer; logical: number }, never];
  const moved = [{ ...a, bytes: a.bytes.subarray(1) }, { ...b, bytes: Buffer.concat([b.bytes, Buffer.alloc(1)]) }, c];
  const { digest, size } = PACK.plan;
  const { plan } = encodedAs({ digest, size, members: PACK.members }, moved);
  const { bytes } = PACK;
  const { answer } = await sendEncoded(api, id, { bytes, plan: { ...plan, stored_digest: sha256(bytes) } });
  t.deepEqual([answer.status, answer.body.code], [422, 'invalid_frames']);
});

test(`${WHICH} byte on the disk: a file of the changed frame is not given out, and the others are`, async (t) => {
  t.timeout(300_000);
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const id = await preserveEncoded(api, FILES, [PACK]);
  const { key } = (await service.services.registry.read.blobs.locate(sha256(FILES.one) as Digest)) as { key: string };
  const path = join(service.dataDir, 'blobs', key);
  await chmod(path, 0o644);
  const urlOf = (name: string) => `${service.url}/v1/packages/${id}/files/${name}`;
  for (const at of places(PACK.bytes.length)) {
    await writeFile(path, flipped(PACK.bytes, at));
    const frame = (await meansNothing(at)) ? null : frameAt(at);
    for (const [name, content] of Object.entries(FILES)) {
      const isHit = frame !== null && IN_FRAME[frame]?.includes(name);
      const whole = await read(urlOf(name));
      if (isHit) {
        const part = await read(urlOf(name), { range: 'bytes=1-2' });
        t.is(whole.status, 500, `byte ${at}, ${name}`);
        t.is(JSON.parse(whole.bytes.toString()).code, 'integrity_failure');
        t.is(part.status, 500, `byte ${at}, ${name}: a range`);
        t.is(JSON.parse(part.bytes.toString()).code, 'integrity_failure');
      } else {
        // The seek table at its end is for those who have the bucket alone: no read of this service rests on it.
        t.deepEqual([whole.status, whole.bytes.toString()], [200, content], `byte ${at}, ${name}`);
      }
    }
  }
  await writeFile(path, PACK.bytes);
  for (const [name, content] of Object.entries(FILES)) t.is((await read(urlOf(name))).bytes.toString(), content);
  // All of it as it is stored has another digest then, whatever byte it is: that is what a check of stored bytes sees.
  const [object] = (await api.post(`/v1/packages/${id}/downloads`, { encodings: ['zstd-seekable'] })).body.objects;
  const digests = new Set<string>();
  for (const at of places(PACK.bytes.length)) {
    await writeFile(path, flipped(PACK.bytes, at));
    digests.add(sha256((await read(object.url)).bytes));
  }
  t.false(digests.has(PACK.plan.stored_digest));
  t.is(digests.size, places(PACK.bytes.length).length);
});

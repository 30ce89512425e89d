import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { DigestClaims } from '../../cli/client/push/digest-claims.ts';
import type { SentObject } from '../../cli/client/push/objects.ts';
import { packObject } from '../../cli/client/push/pack-object.ts';
import type { FileList } from '../../cli/client/tree/file-list.ts';
import { buildPack, cutPacks, packMemory } from '../../cli/client/tree/pack-builder.ts';
import { PackMemory } from '../../cli/client/tree/pack-memory.ts';
import { Readers } from '../../cli/client/tree/readers.ts';
import { walk } from '../../cli/client/tree/walk.ts';
import { digestOf, EMPTY_DIGEST } from '../../src/core/digest.ts';
import { FrameDecoder } from '../../src/core/frame-decoder.ts';
import { checkFrameTable, FrameTable } from '../../src/core/frame-table.ts';
import { DEFAULT_LIMITS } from '../../src/core/limits.ts';
import { checkMembers, PackVerifier } from '../../src/core/pack.ts';
import { Pool } from '../../src/core/pool.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const KIB = 1024;
const LIMITS = { ...DEFAULT_LIMITS, pack_member_max: 8 * KIB, pack_members_max: 12, pack_target: 24 * KIB };
const LOOK = { symlinks: 'refuse', special: 'refuse', signal: new AbortController().signal } as const;

/** What is sent of the object. */
function bytesOf(object: SentObject): Buffer {
  const pieces = [...(object.pieces(0, (object.stored ?? object).size) as Generator<Buffer>)];
  return Buffer.concat(pieces);
}

/** What the service makes of what is sent. */
function contentOf(object: SentObject): Buffer {
  const bytes = bytesOf(object);
  const { stored, size, members } = object;
  if (stored === null) return bytes;
  if (digestOf(bytes) !== stored.digest) throw new Error('other stored bytes');
  const table = FrameTable.decode(stored.frames);
  checkFrameTable(table, { size, storedSize: stored.size, members });
  const decoder = FrameDecoder.whole(table);
  const content = Buffer.concat([...decoder.write(bytes)]);
  decoder.end();
  return content;
}

/** Sends what a push would send of these files. @param stored what the service has already */
async function packsOf(
  files: FileList,
  stored: (content: number) => boolean,
  level: number | null = null,
): Promise<SentObject[]> {
  const claims = new DigestClaims(files);
  const readers = new Readers();
  const memory = new SharedArrayBuffer(packMemory(LIMITS));
  // As if packs had been built here before.
  Buffer.from(memory).fill('x');
  const indexes = Array.from({ length: files.length }, (_, index) => index).filter((index) => files.size(index) > 0);
  const objects: SentObject[] = [];
  for (const list of cutPacks(indexes, (index) => files.size(index), LIMITS)) {
    const pack = buildPack({ files: files.batch(list), memory }, () => {});
    if (!pack.ok) throw new Error('a file could not be read');
    files.setDigests(list, pack.digests);
    const wanted = list.filter((index) => !stored(index)).filter((index) => claims.claim(index));
    const held = {
      digest: pack.digest,
      bytes: () => Buffer.from(memory),
      memory: () => memory,
      hold: async () => {},
      release: () => {},
    };
    const object = await packObject(files, list, wanted, held, async (memory, frames) =>
      level === null ? null : readers.compress(memory, frames, level),
    );
    if (object === null) continue;
    // The memory is used again for the next one.
    const bytes = Buffer.from(bytesOf(object));
    objects.push({ ...object, pieces: () => [bytes].values() as Generator<Buffer> });
  }
  return objects;
}

test('any files become packs that the service takes: every blob once, none too large, none with a blob it has', async (t) => {
  const file = fc.record({
    size: fc.oneof(fc.nat({ max: 8 * KIB }), fc.constantFrom(0, 1, 511, 512, 513, 8 * KIB)),
    content: fc.nat({ max: 5 }),
    stored: fc.boolean(),
  });
  const level = fc.constantFrom(null, 1, 3);
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 40 }), fc.boolean(), level, async (inputs, nothingStored, level) => {
      const folder = await tempFolder({ teardown: (work) => void cleanups.push(work) });
      const names = inputs.map((_, index) => `f${String(index).padStart(3, '0')}`);
      const contents = inputs.map(({ size, content }) => Buffer.alloc(size, content));
      await Promise.all(names.map((name, index) => writeFile(join(folder, name), contents[index] as Buffer)));
      const files = await walk(folder, LOOK);
      // Whether the service has a blob depends on the blob alone.
      const digests = contents.map((content) => digestOf(content));
      const has = new Set(nothingStored ? [] : digests.filter((_, index) => inputs[index]?.stored));
      const isStored = (index: number) => has.has(digests[index] as (typeof digests)[number]);
      const objects = await packsOf(files, isStored, level);
      const sent = objects.flatMap((object) => {
        t.true(object.stored === null || object.stored.size < object.size, 'never larger');
        const bytes = contentOf(object);
        t.is(digestOf(bytes), object.digest);
        t.is(bytes.length, object.size);
        if (object.members === null) return [object.digest];
        t.true(object.size <= LIMITS.pack_target);
        t.true(object.members.length >= 2, 'a blob alone needs no frame');
        const members = checkMembers({ ...object, members: object.members }, LIMITS);
        const verifier = new PackVerifier(members);
        verifier.write(bytes);
        verifier.end();
        return members.map(({ digest }) => digest);
      });
      const expected = [...new Set(digests)].filter((digest) => digest !== EMPTY_DIGEST && !has.has(digest));
      t.deepEqual(sent.sort(), expected.sort());
    }),
    { numRuns: 60 },
  );
  for (const cleanup of cleanups) await cleanup();
});
const cleanups: Array<() => Promise<void>> = [];

test('what a message about a pack names is the file of the member', async (t) => {
  const folder = await writeTree(await tempFolder(t), { one: 'first', two: 'second', three: 'third' });
  const [pack] = await packsOf(await walk(folder, LOOK), () => false);
  const digest = digestOf('second');
  t.deepEqual(pack?.named(digest), { path: 'two', digest });
  t.like(pack?.named('sha256:unknown'), { path: 'one' });
  const error = await pack?.differs('why');
  t.like(error, { code: 'digest_mismatch', message: 'a pack of 3 files arrived with the wrong bytes: why' });
});

test('a pack whose memory was given to others is the same once more, or says which file is not', async (t) => {
  const folder = await tempFolder(t);
  await writeTree(folder, Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`f${n}`, `content ${n}`.repeat(n)])));
  const files = await walk(folder, LOOK);
  const indexes = [1, 2, 3, 4, 5, 6, 7, 8];
  const readers = new Readers();
  const pool = new Pool(1, () => new SharedArrayBuffer(packMemory(LIMITS)));
  const memory = new PackMemory(files, indexes, readers, pool);
  for (const wanted of [indexes, [2, 5, 7], [4]]) {
    await memory.hold();
    files.setDigests(indexes, memory.digests);
    const compress = (memory: SharedArrayBuffer, frames: readonly number[]) => readers.compress(memory, frames, 1);
    const object = (await packObject(files, indexes, wanted, memory, compress)) as SentObject;
    const first = Buffer.from(bytesOf(object));
    t.is(digestOf(contentOf(object)), object.digest);
    t.is(object.stored === null, wanted.length === 1);
    await object.hold();
    object.release();
    object.release();
    t.throws(() => bytesOf(object), { message: /not held/ });
    const other = await pool.take();
    Buffer.from(other).fill('x');
    const held = object.hold();
    pool.give(other);
    await held;
    t.deepEqual(bytesOf(object), first);
    object.release();
  }
  await writeFile(join(folder, 'f3'), 'changed');
  await t.throwsAsync(memory.hold(), { code: 'file_changed', message: /"f3"/ });
  memory.release();
  pool.end();
  await t.throwsAsync(memory.hold(), { message: /ended/ });
});

test('a file that was replaced since it was found is not packed', async (t) => {
  const folder = await writeTree(await tempFolder(t), { a: 'A', b: 'B', c: 'C' });
  const files = (await walk(folder, LOOK)).batch([0, 1, 2]);
  await writeFile(join(folder, 'b'), 'BB');
  const memory = new SharedArrayBuffer(packMemory(LIMITS));
  t.like(
    buildPack({ files, memory }, () => {}),
    { ok: false, changed: true, file: 1 },
  );
});

test('the same files make the same pack: an interrupted upload of it is found again', async (t) => {
  const content = { x: 'X'.repeat(700), y: 'Y', z: createHash('sha256').update('z').digest() };
  const digests = [];
  for (let round = 0; round < 2; round += 1) {
    const folder = await writeTree(await tempFolder(t), content);
    digests.push((await packsOf(await walk(folder, LOOK), () => false)).map(({ digest }) => digest));
  }
  t.deepEqual(digests[0], digests[1]);
});

import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { fileObject, type Sending, type SentObject } from '../../cli/client/push/objects.ts';
import { FILE_FRAME_SIZE } from '../../cli/client/tree/hash-file.ts';
import { type HashedFile, Readers } from '../../cli/client/tree/readers.ts';
import { walk } from '../../cli/client/tree/walk.ts';
import { type Digest, digestOf } from '../../src/core/digest.ts';
import { FrameDecoder } from '../../src/core/frame-decoder.ts';
import { checkFrameTable, FrameTable } from '../../src/core/frame-table.ts';
import { DEFAULT_LIMITS, type Limits } from '../../src/core/limits.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const MIB = 1024 ** 2;
const LOOK = { symlinks: 'refuse', special: 'refuse', signal: new AbortController().signal } as const;

/** Text that compresses to a quarter or so, different at each place. */
function words(size: number): Buffer {
  return Buffer.from(
    randomBytes(size / 2 + 1)
      .toString('hex')
      .replaceAll('a', ' the ')
      .slice(0, size),
  );
}

async function hashed(
  folder: string,
  readers: Readers,
  limits: Limits,
  level: number | null = 1,
): Promise<Map<string, HashedFile>> {
  const files = await readers.hash([...(await walk(folder, LOOK))], limits, level);
  return new Map(files.map((file) => [file.path as string, file]));
}

const sendingBy = (readers: Readers): Sending => ({
  makeAgain: (file, content) => readers.frames(file, { level: 1, ...content }),
  letGo: (file) => readers.letGo(file),
});

async function piecesOf(object: SentObject, offset: number, size: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of object.pieces(offset, size)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

test('a large file that compresses is sent in frames, whether its stored bytes are kept or made again', async (t) => {
  const content = words(3 * MIB + 12_345);
  const folder = await writeTree(await tempFolder(t), { log: content });
  const readers = new Readers();
  t.teardown(() => readers.stop());
  const file = (await hashed(folder, readers, DEFAULT_LIMITS)).get('log') as HashedFile;
  const object = fileObject(file, sendingBy(readers));
  const { stored } = object;
  t.is(object.digest, digestOf(content));
  t.is(object.size, content.length);
  if (stored === null) return t.fail('it was not compressed');
  const table = FrameTable.decode(stored.frames);
  checkFrameTable(table, { size: content.length, storedSize: stored.size, members: null });
  t.is(table.at(0).logical, FILE_FRAME_SIZE);
  const kept = await piecesOf(object, 0, stored.size);
  t.is(digestOf(kept), stored.digest);
  const decoder = FrameDecoder.whole(table);
  t.deepEqual(Buffer.concat([...decoder.write(kept)]), content);
  decoder.end();
  object.release();
  t.is(file.stored?.bytes, null);
  t.deepEqual(await piecesOf(object, 0, stored.size), kept);
  for (const offset of [1, 700_000, table.framesSize - 1, table.framesSize + 3]) {
    const size = Math.min(stored.size - offset, 1_000_001);
    t.deepEqual(await piecesOf(object, offset, size), kept.subarray(offset, offset + size));
  }
});

test('parts are those of the stored bytes, and only where one part may not have them all', async (t) => {
  const content = words(4 * MIB);
  const folder = await writeTree(await tempFolder(t), { log: content });
  const limits = { ...DEFAULT_LIMITS, single_part_max: MIB, part_size: MIB / 2 };
  const readers = new Readers();
  t.teardown(() => readers.stop());
  const file = (await hashed(folder, readers, limits)).get('log') as HashedFile;
  const object = fileObject(file, sendingBy(readers));
  let at = 0;
  for (const { digest, size } of object.parts ?? []) {
    t.is(digestOf(await piecesOf(object, at, size)), digest);
    at += size;
  }
  t.is(at, object.stored?.size ?? 0);
  const whole = (await hashed(folder, readers, DEFAULT_LIMITS)).get('log') as HashedFile;
  t.is(fileObject(whole, sendingBy(readers)).parts, null);
});

test('what does not compress is sent as it is, also where only its samples do', async (t) => {
  const deceptive = randomBytes(9 * MIB);
  for (const at of [0, deceptive.length / 2 - 64 * 1024, deceptive.length - 128 * 1024])
    deceptive.fill('x', at, Math.min(deceptive.length, at + 128 * 1024));
  const folder = await writeTree(await tempFolder(t), {
    random: randomBytes(2 * MIB),
    deceptive,
    tiny: 'aaaa'.repeat(20),
  });
  const readers = new Readers();
  t.teardown(() => readers.stop());
  for (const [path, file] of await hashed(folder, readers, DEFAULT_LIMITS)) t.is(file.stored, null, path);
  await writeTree(folder, { log: words(2 * MIB) });
  t.is((await hashed(folder, readers, DEFAULT_LIMITS, null)).get('log')?.stored, null);
});

test('memory for stored bytes is bounded over all files', async (t) => {
  const names = Array.from({ length: 8 }, (_, nth) => `log-${nth}`);
  const folder = await writeTree(await tempFolder(t), Object.fromEntries(names.map((name) => [name, words(2 * MIB)])));
  const kept = { ofFile: 2 * MIB, inAll: 5 * MIB };
  const readers = new Readers(kept);
  t.teardown(() => readers.stop());
  const keptOf = (list: readonly HashedFile[]) =>
    list.reduce((sum, { stored }) => sum + (stored?.bytes?.length ?? 0), 0);
  for (let round = 0; round < 3; round += 1) {
    const files = [...(await hashed(folder, readers, DEFAULT_LIMITS)).values()];
    // What is reserved is what is being read, not what waits.
    t.true(files.filter(({ stored }) => (stored?.bytes ?? null) !== null).length >= 4);
    t.true(keptOf(files) <= kept.inAll);
    for (const file of files) readers.letGo(file);
    t.is(keptOf(files), 0);
    t.true(files.every(({ stored }) => stored !== null));
  }
});

test('frames are made again beside whatever is being read, however much that is', async (t) => {
  const folder = await tempFolder(t);
  const content = words(2 * MIB);
  await writeTree(folder, { log: content });
  const readers = new Readers();
  t.teardown(() => readers.stop());
  const file = (await hashed(folder, readers, DEFAULT_LIMITS)).get('log') as HashedFile;
  const object = fileObject(file, sendingBy(readers));
  object.release();
  // More than both threads read before the frames are there; nobody waits for it.
  const others = await tempFolder(t);
  for (let nth = 0; nth < 40; nth += 1) await truncateTo(join(others, `zeros-${nth}`), 200 * MIB);
  let done = false;
  const reading = readers.hash([...(await walk(others, LOOK))], DEFAULT_LIMITS).then(
    () => {
      done = true;
    },
    () => {},
  );
  t.is(digestOf(await piecesOf(object, 0, object.stored?.size ?? 0)), object.stored?.digest as Digest);
  t.false(done);
  await readers.stop();
  await reading;
});

async function truncateTo(path: string, size: number): Promise<void> {
  const handle = await open(path, 'w');
  await handle.truncate(size);
  await handle.close();
}

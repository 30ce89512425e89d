import { appendFile, chmod, link, mkdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import Sqlite from 'better-sqlite3';
import { FileCache } from '../../cli/client/tree/file-cache.ts';
import { decodeEntry, encodeEntry } from '../../cli/client/tree/file-cache-entry.ts';
import type { FileList } from '../../cli/client/tree/file-list.ts';
import { walk } from '../../cli/client/tree/walk.ts';
import { digestOf, digestToBytes } from '../../src/core/digest.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const LOOK = { symlinks: 'refuse', special: 'refuse', signal: new AbortController().signal } as const;
const DAY_MS = 86_400_000;
/** Long after every file of these tests was touched. */
const LATER = Date.now() + DAY_MS;

interface Bench {
  folder: string;
  run: string;
  file: string;
  notes: string[];
  /** What a push that reads everything leaves in the cache. */
  remember: (digestOfFile?: (path: string) => Uint8Array, readAt?: number) => Promise<FileList>;
  /** Paths whose digests a push would know without reading. */
  known: (now?: number, run?: string) => Promise<string[]>;
}

async function bench(t: ExecutionContext): Promise<Bench> {
  const folder = await tempFolder(t);
  const notes: string[] = [];
  const run = await writeTree(join(folder, 'run'), { 'a/one': '1', 'a.b': '2', 'a/two': '3', z: '4' });
  const open = (now = LATER) => {
    const options = { env: { XDG_CACHE_HOME: join(folder, 'cache') }, note: (text: string) => void notes.push(text) };
    return FileCache.open({ ...options, now: () => now });
  };
  return {
    folder,
    run,
    file: join(folder, 'cache', 'artifact-store', 'files.2.sqlite'),
    notes,
    remember: async (raw = (path) => digestToBytes(digestOf(path)), readAt = LATER) => {
      const files = await walk(run, LOOK);
      const indexes = Array.from({ length: files.length }, (_, index) => index);
      for (const index of indexes) files.setDigest(index, raw(files.path(index)));
      const cache = await open();
      cache.save(files, indexes, readAt);
      cache.close();
      return files;
    },
    known: async (now, directory = run) => {
      const files = await walk(directory, LOOK);
      const cache = await open(now);
      cache.load(files);
      cache.close();
      const indexes = Array.from({ length: files.length }, (_, index) => index);
      return indexes.filter((index) => files.hasDigest(index)).map((index) => files.path(index));
    },
  };
}

const ALL = ['a.b', 'a/one', 'a/two', 'z'];

test('an unchanged file keeps its digest and parts', async (t) => {
  const { run, remember, known, folder, notes } = await bench(t);
  await remember();
  t.deepEqual(await known(), ALL);
  const files = await walk(run, LOOK);
  const parts = [
    { digest: digestOf('part 1'), size: 2 ** 40 },
    { digest: digestOf('part 2'), size: 1 },
  ];
  files.setDigest(0, digestToBytes(digestOf('whole')), parts);
  const options = { env: { XDG_CACHE_HOME: join(folder, 'cache') }, now: () => LATER };
  const cache = await FileCache.open(options);
  cache.save(files, [0], LATER);
  cache.close();
  const again = await walk(run, LOOK);
  const reopened = await FileCache.open(options);
  reopened.load(again);
  reopened.close();
  t.is(again.digest(0), digestOf('whole'));
  t.deepEqual(again.parts(0), parts);
  t.is(again.digest(1), digestOf('a/one'));
  t.is(again.parts(1), null);
  t.deepEqual(notes, []);
});

test('the secrets of a file are remembered, and a file that these rules did not look through is not known to who looks', async (t) => {
  const { run, remember, folder } = await bench(t);
  const files = await remember();
  const secrets = [{ line: 7, kind: 'password', sha256: 'f'.repeat(64) }];
  files.setSecrets(0, secrets);
  files.setSecrets(1, []);
  files.setDigest(1, files.rawDigest(1), [{ digest: digestOf('part'), size: 1 }]);
  const options = { env: { XDG_CACHE_HOME: join(folder, 'cache') }, now: () => LATER };
  const cache = await FileCache.open(options);
  cache.save(files, [0, 1], LATER);
  const load = async (scanned: boolean) => {
    const again = await walk(run, LOOK);
    cache.load(again, scanned);
    return again;
  };
  const looked = await load(true);
  t.deepEqual(
    [0, 1, 2, 3].map((index) => looked.secrets(index)),
    [secrets, [], null, null],
  );
  t.deepEqual(
    [0, 1, 2, 3].map((index) => looked.hasDigest(index)),
    [true, true, false, false],
  );
  t.deepEqual(looked.parts(1), files.parts(1));
  const plain = await load(false);
  t.deepEqual(
    [0, 1, 2, 3].map((index) => plain.hasDigest(index)),
    [true, true, true, true],
  );
  t.deepEqual(plain.secrets(0), secrets);
  cache.close();

  const identity = files.identityBytes(0);
  const entry = encodeEntry('a.b', identity, { digest: files.rawDigest(0), parts: null, secrets });
  const rules = identity.length + 32;
  entry.writeUInt16BE(entry.readUInt16BE(rules) + 1, rules);
  entry.writeUInt32BE(crc32(entry.subarray(0, -4), crc32('a.b')), entry.length - 4);
  t.like(decodeEntry('a.b', identity, entry), { secrets: null }, 'other rules');
});

test('whatever differs makes a file unknown: size, times, inode, place', async (t) => {
  const { run, folder, remember, known } = await bench(t);
  await remember();
  await appendFile(join(run, 'z'), 'more');
  t.deepEqual(await known(), ['a.b', 'a/one', 'a/two']);

  // Same size and modification time: only the time of the last change tells.
  const { atime, mtime } = await stat(join(run, 'a.b'));
  await writeFile(join(run, 'a.b'), 'x');
  await utimes(join(run, 'a.b'), atime, mtime);
  t.deepEqual(await known(), ['a/one', 'a/two']);

  // A file in its place, as `mv` puts it there.
  await writeFile(join(run, 'new'), '1');
  await rename(join(run, 'new'), join(run, 'a/one'));
  t.deepEqual(await known(), ['a/two']);

  await remember();
  t.deepEqual(await known(), ALL);
  await rename(run, join(folder, 'moved'));
  t.deepEqual(await known(LATER, join(folder, 'moved')), []);
});

test('an inode that is used again, under the same path or another, is no known file', async (t) => {
  const { run, remember, known } = await bench(t);
  await remember();
  for (const name of ['a.b', 'z']) await rm(join(run, name));
  await writeFile(join(run, 'z'), '5');
  await writeFile(join(run, 'a.b'), '6');
  await link(join(run, 'a/one'), join(run, 'linked'));
  t.deepEqual(await known(), ['a/two']);
});

test('a file that was touched within two seconds before it was read is not remembered', async (t) => {
  const { run, remember, known } = await bench(t);
  const { ctimeMs } = await stat(join(run, 'z'));
  await remember(undefined, Math.floor(ctimeMs) + 1_999);
  t.false((await known()).includes('z'));
  await remember(undefined, Math.ceil(ctimeMs) + 2_000);
  t.true((await known()).includes('z'));
});

test('a cache that is broken, or not one, or cannot be written, is told once and does no harm', async (t) => {
  const { file, remember, known, notes, folder } = await bench(t);
  await mkdir(join(folder, 'cache', 'artifact-store'), { recursive: true });
  await writeFile(file, 'this is no database'.repeat(1_000));
  t.deepEqual(await known(), []);
  t.is(notes.length, 1);
  t.regex(notes[0] ?? '', /going on without the cache .*files\.2\.sqlite/);
  await remember();
  t.deepEqual(await known(), ALL, 'the next push begins a new one');
  t.is(notes.length, 1);

  await rm(join(folder, 'cache'), { recursive: true });
  await writeFile(join(folder, 'cache'), 'a file where the folder should be');
  await remember();
  t.deepEqual(await known(), []);
  t.is(notes.length, 3);
});

test('a locked cache is told, and does no harm', async (t) => {
  const { file, remember, known, notes } = await bench(t);
  await remember();
  const other = new Sqlite(file);
  other.exec('BEGIN IMMEDIATE');
  await remember(() => digestToBytes(digestOf('other')));
  t.is(notes.length, 1);
  t.regex(notes[0] ?? '', /locked/);
  other.exec('ROLLBACK');
  other.close();
  t.deepEqual(await known(), ALL);
});

test('an entry with a flipped bit is not trusted', async (t) => {
  const { file, remember, known } = await bench(t);
  await remember();
  const db = new Sqlite(file);
  const rows = db.prepare('SELECT path, entry FROM files ORDER BY path').all() as Array<{
    path: string;
    entry: Buffer;
  }>;
  for (const [index, { path, entry }] of rows.entries()) {
    // In the identity, the digest, the checksum; the last one stays.
    const at = [3, 45, entry.length - 1][index];
    if (at !== undefined) entry.writeUInt8(entry.readUInt8(at) ^ 1, at);
    db.prepare('UPDATE files SET entry = ? WHERE path = ?').run(entry, path);
  }
  db.close();
  t.deepEqual(await known(), ['z']);
});

test('entries are removed if the file is gone or no push has seen it for long', async (t) => {
  const { run, file, remember, known, folder } = await bench(t);
  const count = (): number => {
    const db = new Sqlite(file, { readonly: true });
    const { n } = db.prepare('SELECT count(*) AS n FROM files').get() as { n: number };
    db.close();
    return n;
  };
  await remember();
  t.is(count(), 4);
  await rm(join(run, 'z'));
  t.deepEqual(await known(), ['a.b', 'a/one', 'a/two']);
  t.is(count(), 3);
  // Another directory, seen long after: the first one's entries are too old by then.
  const other = await writeTree(join(folder, 'other'), { o: 'O' });
  const files = await walk(other, LOOK);
  files.setDigest(0, digestToBytes(digestOf('O')));
  const options = { env: { XDG_CACHE_HOME: join(folder, 'cache') }, now: () => LATER + 85 * DAY_MS };
  const cache = await FileCache.open(options);
  cache.save(files, [0], LATER);
  cache.close();
  t.deepEqual(await known(LATER + 93 * DAY_MS, other), ['o']);
  t.is(count(), 1);
});

test('only the owner can read what is remembered', async (t) => {
  const { file, remember, folder } = await bench(t);
  await chmod(folder, 0o755);
  await remember();
  t.is((await stat(join(file, '..'))).mode & 0o077, 0);
});

import type { BigIntStats } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { DigestClaims } from '../../cli/client/push/digest-claims.ts';
import { filesOf } from '../../cli/client/tree/file-batch.ts';
import { FileList } from '../../cli/client/tree/file-list.ts';
import { digestOf, digestToBytes } from '../../src/core/digest.ts';
import { comparePaths } from '../../src/core/logical-path.ts';

function stats(overrides: Partial<BigIntStats> = {}): BigIntStats {
  return { dev: 1n, ino: 2n, size: 3n, mtimeNs: 4n, ctimeNs: 5n, mode: 0o644n, ...overrides } as BigIntStats;
}

function listOf(paths: readonly string[]): FileList {
  const files = new FileList('/root/folder');
  for (const path of paths) files.add(path, `/root/folder/${path}`, stats({ ino: BigInt(path.length) }));
  return files;
}

test('every path is found where it is, and no other', (t) => {
  const name = fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom('a', 'b', '/', '.', 'é', '日', '😀') });
  fc.assert(
    fc.property(fc.uniqueArray(name), name, fc.nat(), (names, other, from) => {
      const paths = names.sort(comparePaths);
      const files = listOf(paths);
      t.deepEqual(
        Array.from(files, ({ path }) => path as string),
        paths,
      );
      for (const [index, path] of paths.entries()) t.is(files.indexOf(path, from), index);
      if (!paths.includes(other)) t.is(files.indexOf(other, from), -1);
    }),
  );
});

test('a list grows past its first room and keeps everything', (t) => {
  const files = new FileList('/r');
  const long = 'x'.repeat(200);
  for (let index = 0; index < 5_000; index += 1) {
    const path = `${long}-${String(index).padStart(5, '0')}`;
    const [size, mtimeNs] = [BigInt(index) * 2n ** 40n, BigInt(index) * 1_000_000_001n];
    const mode = index % 2 === 0 ? 0o755n : 0o644n;
    files.add(path, index === 7 ? '/elsewhere' : `/r/${path}`, stats({ size, mtimeNs, mode }));
    if (index % 3 === 0) files.setDigest(index, digestToBytes(digestOf(path)));
  }
  for (const index of [0, 1, 7, 1_023, 1_024, 4_999]) {
    const path = `${long}-${String(index).padStart(5, '0')}`;
    t.is<string, string>(files.path(index), path);
    t.is(files.absolute(index), index === 7 ? '/elsewhere' : `/r/${path}`);
    t.is(files.size(index), index * 2 ** 40);
    t.is(files.mtime(index), new Date(index * 1_000).toISOString());
    t.is(files.executable(index), index % 2 === 0);
    t.is(files.hasDigest(index), index % 3 === 0);
    if (index % 3 === 0) t.is(files.digest(index), digestOf(path));
  }
  t.is(files.length, 5_000);
});

test('a batch holds the files as they were found, wherever they are', (t) => {
  const text = fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom('a', '/', '.', 'é', '日', '😀') });
  const name = text.filter((path) => !path.startsWith('/'));
  fc.assert(
    fc.property(fc.uniqueArray(name), fc.func(fc.boolean()), (names, chosen) => {
      const files = new FileList('/root/folder');
      for (const [index, path] of names.sort(comparePaths).entries()) {
        const absolute = index % 3 === 1 ? `/root/folder/ëlsewhere/${index}` : `/root/folder/${path}`;
        const big = 2n ** 62n + BigInt(index);
        files.add(path, absolute, stats({ dev: big, ino: big + 1n, mtimeNs: -big, ctimeNs: big + 2n }));
      }
      const indexes = names.flatMap((path, index) => (chosen(path) ? [index] : []));
      const expected = indexes.map((index) => ({ absolute: files.absolute(index), identity: files.identity(index) }));
      t.deepEqual([...filesOf(structuredClone(files.batch(indexes)))], expected);
    }),
  );
});

test('digests that are set together are told where others were known', (t) => {
  const files = listOf(['a', 'b', 'c', 'd']);
  const raw = (text: string) => digestToBytes(digestOf(text));
  files.setDigest(1, raw('B'));
  files.setDigest(3, raw('wrong'));
  t.deepEqual(files.setDigests([1, 2, 3], Buffer.concat([raw('B'), raw('C'), raw('D')])), [3]);
  t.false(files.hasDigest(0));
  for (const [index, text] of ['B', 'C', 'D'].entries()) t.is(files.digest(index + 1), digestOf(text));
});

test('years that RFC 3339 cannot write are the nearest that it can', (t) => {
  const files = new FileList('/r');
  files.add('a', '/r/a', stats({ mtimeNs: -(2n ** 62n) * 2n }));
  files.add('b', '/r/b', stats({ mtimeNs: 2n ** 63n - 1n }));
  t.regex(files.mtime(0), /^\d{4}-/);
  t.regex(files.mtime(1), /^\d{4}-/);
});

test('of files with one digest the first one is sent, whatever the table looks like', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 20 }), { maxLength: 60 }), (contents) => {
      const files = listOf(contents.map((_, index) => String(index)));
      for (const [index, content] of contents.entries()) {
        // The first four bytes choose the place: many meet there.
        const raw = Buffer.alloc(32, content);
        raw.writeUInt32LE(content % 3);
        files.setDigest(index, raw);
      }
      const claims = new DigestClaims(files);
      const claimed = contents.filter((_, index) => claims.claim(index));
      t.deepEqual(claimed, [...new Set(contents)]);
      t.deepEqual(
        contents.filter((_, index) => claims.claim(index)),
        [],
      );
    }),
  );
});

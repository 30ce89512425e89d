import type { BigIntStats } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { compareWithList, KEPT } from '../../cli/client/offline/list-differences.ts';
import { FileList } from '../../cli/client/tree/file-list.ts';
import { digestOf, digestToBytes } from '../../src/core/digest.ts';
import { comparePaths } from '../../src/core/logical-path.ts';

const STATS = { dev: 1n, ino: 2n, size: 3n, mtimeNs: 4n, ctimeNs: 5n, mode: 0o644n } as BigIntStats;
type Files = Record<string, string>;

function sorted(files: Files): string[] {
  return Object.keys(files).sort(comparePaths);
}

function listOf(files: Files): FileList {
  const list = new FileList('/r');
  for (const [index, path] of sorted(files).entries()) {
    list.add(path, `/r/${path}`, STATS);
    list.setDigest(index, digestToBytes(digestOf(files[path] as string)));
  }
  return list;
}

/** In pages of two. */
async function* pagesOf(files: Files) {
  const all = sorted(files).map((path) => ({ path, sha256: digestOf(files[path] as string).slice(7) }));
  for (let start = 0; start < all.length; start += 2) yield all.slice(start, start + 2);
}

test('differences of sorted lists are those of sets', async (t) => {
  const path = fc.string({ minLength: 1, maxLength: 4, unit: fc.constantFrom('a', '/', '.', 'é', '\uff5e', '😀') });
  const files = fc.dictionary(path, fc.constantFrom('x', 'y'), { noNullPrototype: true });
  await fc.assert(
    fc.asyncProperty(files, files, async (there, listed) => {
      const found = await compareWithList(listOf(there), pagesOf(listed));
      const both = [...new Set([...sorted(there), ...sorted(listed)])].sort(comparePaths);
      const how = (one: string) => (!(one in listed) ? 'added' : !(one in there) ? 'removed' : 'changed');
      const differing = both.filter((one) => there[one] !== listed[one]);
      t.is(found.listed, Object.keys(listed).length);
      t.is(found.count, differing.length);
      for (const kind of ['added', 'removed', 'changed'] as const) {
        const expected = differing.filter((one) => how(one) === kind);
        t.deepEqual(found.paths[kind], expected);
        t.is(found.counts[kind], expected.length);
      }
      const [first] = differing;
      t.deepEqual(found.first, first === undefined ? null : { path: first, how: how(first) });
    }),
  );
});

test('of many differences the first are kept, and all are counted', async (t) => {
  const files = Object.fromEntries(Array.from({ length: KEPT + 5 }, (_, n) => [String(n).padStart(6, '0'), 'x']));
  const found = await compareWithList(listOf({}), pagesOf(files));
  t.is(found.counts.removed, KEPT + 5);
  t.deepEqual(found.paths.removed, sorted(files).slice(0, KEPT));
});

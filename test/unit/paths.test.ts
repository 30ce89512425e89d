import test from 'ava';
import fc from 'fast-check';
import { isStoreError, type StoreError } from '../../src/core/errors.ts';
import {
  allBehind,
  ancestors,
  comparePaths,
  findConflict,
  parseLogicalPath,
  pathKey,
  pathProblem,
} from '../../src/core/logical-path.ts';

const segment = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((text) => pathProblem(text) === null && !text.includes('/'));
const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((segments) => segments.join('/'));

const REFUSED: Array<[string, RegExp]> = [
  ['', /empty/],
  ['/etc/passwd', /absolute/],
  ['a//b', /empty segment/],
  ['a/', /empty segment/],
  ['.', /segment "\."/],
  ['..', /segment "\.\."/],
  ['a/../b', /segment "\.\."/],
  ['a/./b', /segment "\."/],
  ['a\u0000b', /control/],
  ['a\nb', /control/],
  ['a\u007fb', /control/],
  ['a\u0085b', /control/],
  ['\ud800', /surrogate/],
  ['x'.repeat(256), /longer than 255/],
  ['é'.repeat(128), /longer than 255/],
  [`${'x'.repeat(200)}/`.repeat(5) + 'y'.repeat(20), /longer than 1024/],
];

for (const [text, why] of REFUSED) {
  test(`refuses ${JSON.stringify(text.slice(0, 30))} (${text.length} characters)`, (t) => {
    const error = t.throws(() => parseLogicalPath(text));
    t.true(isStoreError(error, 'invalid_path'));
    t.regex(error?.message ?? '', why);
  });
}

for (const text of [
  'a',
  '...',
  'a\\b',
  '-rf',
  ' leading',
  'trailing ',
  '"quoted"',
  "it's",
  '日本語/ファイル.txt',
  '🎉',
  'x'.repeat(255),
  '%2e%2e',
  '~',
  'C:',
]) {
  test(`keeps ${JSON.stringify(text.slice(0, 30))} as it is`, (t) => {
    t.is(parseLogicalPath(text) as string, text);
  });
}

test('a path of exactly 1,024 bytes is taken', (t) => {
  const text = `${'x'.repeat(203)}/`.repeat(5) + 'y'.repeat(4);
  t.is(Buffer.byteLength(text), 1024);
  t.notThrows(() => parseLogicalPath(text));
});

test('parsing never changes a path, and what it takes cannot leave a folder', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
      if (pathProblem(text) !== null) return;
      t.is(parseLogicalPath(text) as string, text);
      const resolved = new URL(`file:///root/${text.split('/').map(encodeURIComponent).join('/')}`);
      t.true(resolved.pathname.startsWith('/root/'));
    }),
  );
});

test('any text is a path as it stands, or refused with words that can be sent', (t) => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.constantFrom('/', '..', '.', '\ud800', '\u0000', '\u009f', 'x'.repeat(255), 'é'.repeat(127), '\\', '%2f'),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const text = pieces.join('');
      try {
        t.is(parseLogicalPath(text) as string, text);
        t.is(decodeURIComponent(encodeURIComponent(text)), text);
      } catch (error) {
        t.true(isStoreError(error, 'invalid_path'));
        const { message, extras } = error as StoreError;
        t.true(message.isWellFormed() && (extras.path ?? '').isWellFormed() && message.length < 1_000);
      }
    }),
    { numRuns: 1_000 },
  );
});

test('comparePaths orders by UTF-8 bytes, where UTF-16 order differs', (t) => {
  t.true('\u{10000}' < '\uffff', 'UTF-16 order is the other way round');
  t.true(comparePaths('\u{10000}', '\uffff') > 0);
  fc.assert(
    fc.property(path, path, (a, b) => {
      t.is(Math.sign(comparePaths(a, b)), Math.sign(Buffer.from(a).compare(Buffer.from(b))));
    }),
  );
});

test('ancestors are the folders above, outermost first', (t) => {
  t.deepEqual(ancestors('a/b/c'), ['a', 'a/b']);
  t.deepEqual(ancestors('a'), []);
});

test('findConflict finds what a naive comparison of all pairs finds', (t) => {
  const small = fc
    .array(fc.constantFrom('a', 'b', 'é', 'e\u0301'), { minLength: 1, maxLength: 3 })
    .map((s) => s.join('/'));
  fc.assert(
    fc.property(fc.array(small, { maxLength: 6 }), (texts) => {
      const paths = texts.map(parseLogicalPath);
      const keys = paths.map(pathKey);
      const naive = keys.some((key, i) =>
        keys.some((other, j) => i !== j && (key === other || other.startsWith(`${key}/`))),
      );
      t.is(findConflict(paths) !== null, naive);
    }),
  );
});

test('paths that stand all behind others meet none of them', (t) => {
  // Few letters, so that they often meet.
  const short = fc
    .array(fc.constantFrom('a', 'b', 'ab', 'a!', 'é', 'e\u0301', '\u{10000}', '\uffff'), { minLength: 1, maxLength: 3 })
    .map((segments) => parseLogicalPath(segments.join('/')));
  const batch = fc.array(short, { maxLength: 6 }).filter((paths) => findConflict(paths) === null);
  let behind = 0;
  fc.assert(
    fc.property(batch, batch, (before, after) => {
      if (before.length === 0) return;
      const keys = before.map(pathKey).toSorted(comparePaths);
      if (!allBehind(keys.at(-1) as string, after)) return;
      behind += 1;
      t.is(findConflict([...before, ...after]), null);
    }),
    { numRuns: 2_000 },
  );
  t.true(behind > 50);
  t.false(allBehind('a', [parseLogicalPath('a')]));
  t.false(allBehind('a', [parseLogicalPath('a/b')]));
  t.true(allBehind('a', [parseLogicalPath('a!'), parseLogicalPath('a0/b')]));
  t.true(allBehind('a/b', [parseLogicalPath('a/c'), parseLogicalPath('b/a')]));
  t.false(allBehind('a!', [parseLogicalPath('a/b')]), '"a" may stand before "a!"');
  t.false(allBehind('a', [parseLogicalPath('b'), parseLogicalPath('Z')]));
});

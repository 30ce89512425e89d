import { Readable } from 'node:stream';
import test from 'ava';
import fc from 'fast-check';
import { canonicalJson, type JsonObject } from '../../src/core/canonical-json.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { type ManifestFile, type ManifestPackage, manifestChunks, sha256sumLine } from '../../src/core/manifest.ts';
import { canonicalMetadata, indexedScalars, METADATA_MAX_BYTES } from '../../src/core/metadata.ts';

const json = fc.jsonValue({ stringUnit: 'grapheme' });

test('RFC 8785: the example of its section 3.2.3 sorts by UTF-16 code units', (t) => {
  const value = {
    '\u20ac': 'Euro Sign',
    '\r': 'Carriage Return',
    '\ufb33': 'Hebrew',
    '1': 'One',
    '\u{1f600}': 'Smiley',
    '\u0080': 'Control',
    '\u00f6': 'o',
  };
  t.deepEqual(Object.keys(JSON.parse(canonicalJson(value))).toSorted(), Object.keys(value).toSorted());
  t.is(
    canonicalJson(value),
    '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"o","€":"Euro Sign","😀":"Smiley","\ufb33":"Hebrew"}',
  );
});

test('RFC 8785: numbers and strings of its section 3.2.2', (t) => {
  const text =
    '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}';
  t.is(
    canonicalJson(JSON.parse(text)),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
});

test('the canonical form says the same value, is stable, and knows no order of keys', (t) => {
  const shuffle = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffle);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, member]) => [key, shuffle(member)]),
    );
  };
  fc.assert(
    fc.property(json, (value) => {
      const text = canonicalJson(value);
      t.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      t.is(canonicalJson(JSON.parse(text)), text);
      t.is(canonicalJson(shuffle(value)), text);
    }),
  );
});

for (const value of [Number.NaN, Number.POSITIVE_INFINITY, '\ud800', undefined, 1n]) {
  test(`canonicalJson refuses ${String(value)}`, (t) => {
    t.throws(() => canonicalJson(value), { instanceOf: TypeError });
  });
}

const METADATA: Array<[string, JsonObject, RegExp]> = [
  ['U+0000 in a value', { a: { b: 'x\u0000' } }, /metadata\.a\.b/],
  ['U+0000 in a key', { 'k\u0000': 1 }, /key of metadata/],
  ['a number that JSON cannot keep', { a: { b: Number.POSITIVE_INFINITY } }, /metadata\.a\.b/],
  ['too many members', Object.fromEntries(Array.from({ length: 20_001 }, (_, n) => [n, 1])), /more than 20000 values/],
  ['too many elements', { a: Array(20_000).fill(0) }, /more than 20000 values/],
  ['a lone surrogate', { a: ['\udc00'] }, /metadata\.a\.0/],
  ['too many bytes', { a: 'x'.repeat(METADATA_MAX_BYTES) }, /more than 262144 bytes/],
];
for (const [what, value, where] of METADATA) {
  test(`metadata with ${what} is refused, and where is said`, (t) => {
    const error = t.throws(() => canonicalMetadata(value));
    t.true(isStoreError(error, 'invalid_metadata'));
    t.regex(error?.message ?? '', where);
  });
}

test('nesting of any depth is refused without exhausting the stack', (t) => {
  const deep = JSON.parse(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`);
  t.true(
    isStoreError(
      t.throws(() => canonicalMetadata(deep)),
      'invalid_metadata',
    ),
  );
});

test('scalars are indexed by dotted path, arrays and long texts are not', (t) => {
  const found = indexedScalars({ a: 1, b: { c: true, d: [1], e: null }, long: 'x'.repeat(600) });
  t.deepEqual(
    [...found],
    [
      ['a', '1'],
      ['b.c', 'true'],
      ['b.e', 'null'],
    ],
  );
});

const PACKAGE: ManifestPackage = {
  id: 'pkg_1',
  name: 'n',
  producer: 'p',
  subject: null,
  external_id: null,
  supersedes: null,
  created_at: '2026-01-01T00:00:00.000Z',
  finalized_at: '2026-01-01T00:00:00.000Z',
  retention_class: 'raw-evidence',
  metadata: {},
};

test('the manifest written page by page is the canonical form of the whole, however it is paged', async (t) => {
  const file = fc.record(
    {
      path: fc.string({ unit: 'grapheme' }),
      sha256: fc.constant('0'.repeat(64)),
      size: fc.nat(),
      media_type: fc.string({ unit: 'grapheme' }),
      mtime: fc.string({ unit: 'grapheme' }),
      executable: fc.constant(true as const),
    },
    { requiredKeys: ['path', 'sha256', 'size', 'media_type'] },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(file, { maxLength: 4 }), { maxLength: 4 }), async (pages) => {
      const chunks: Buffer[] = [];
      for await (const chunk of manifestChunks(PACKAGE, Readable.from(pages) as AsyncIterable<ManifestFile[]>))
        chunks.push(chunk);
      const whole = { schema: 'artifact-store/manifest/v1', package: PACKAGE, files: pages.flat() };
      t.is(Buffer.concat(chunks).toString(), canonicalJson(whole));
    }),
  );
});

test('sha256sum lines escape a backslash as coreutils does, and name a file that is called -', (t) => {
  t.is(sha256sumLine('ab', '-'), 'ab  ./-\n');
  t.is(sha256sumLine('ab', '-x'), 'ab  -x\n');
  t.is(sha256sumLine('ab', 'x y'), 'ab  x y\n');
  t.is(sha256sumLine('ab', 'x\\y'), '\\ab  x\\\\y\n');
});

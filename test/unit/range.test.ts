import test from 'ava';
import fc from 'fast-check';
import { isStoreError } from '../../src/core/errors.ts';
import { parseRange } from '../../src/http/bytes.ts';

const size = fc.nat({ max: 2 ** 43 });

test('a range that lies inside is itself, in each of its three spellings', (t) => {
  const inside = size.chain((bytes) =>
    fc.tuple(fc.constant(bytes + 1), fc.nat({ max: bytes }), fc.nat({ max: bytes })),
  );
  fc.assert(
    fc.property(
      inside,
      fc.constantFrom('bytes', 'BYTES', 'Bytes'),
      fc.constantFrom('', ' ', '\t'),
      ([bytes, a, b], unit, blank) => {
        const [first, last] = [Math.min(a, b), Math.max(a, b)];
        const range = { offset: first, size: last - first + 1 };
        t.deepEqual(parseRange(`${unit}=${blank}${first}-${last}${blank}`, bytes), range);
        const rest = { offset: first, size: bytes - first };
        t.deepEqual(parseRange(`bytes=${first}-`, bytes), rest);
        t.deepEqual(parseRange(`bytes=-${bytes - first}`, bytes), rest);
      },
    ),
  );
});

test('beyond its end a file has nothing, and a range that begins inside ends there, however large its number is', (t) => {
  for (const last of ['10', '9223372036854775807', '18446744073709551616', '9'.repeat(400)]) {
    t.deepEqual(parseRange(`bytes=3-${last}`, 10), { offset: 3, size: 7 }, last);
    t.deepEqual(parseRange(`bytes=-${last}`, 10), { offset: 0, size: 10 }, last);
    const error = t.throws(() => parseRange(`bytes=${last}-`, 10));
    t.true(isStoreError(error, 'range_not_satisfiable'));
  }
  for (const [header, bytes] of [
    ['bytes=-0', 10],
    ['bytes=0-', 0],
    ['bytes=-5', 0],
  ] as const) {
    t.true(
      isStoreError(
        t.throws(() => parseRange(header, bytes)),
        'range_not_satisfiable',
      ),
      header,
    );
  }
});

test('whatever the header says: a range inside the file, all of it, or one of two errors', (t) => {
  const digits = fc.oneof(
    fc.bigInt({ min: 0n }).map(String),
    fc.constantFrom('', ' ', '-', '+1', '1e3', '0x1', '1 0', '１'),
  );
  const spec = fc.array(digits, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('-'));
  const header = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(fc.constantFrom('bytes=', 'bytes =', 'bytes', 'items='), fc.array(spec, { maxLength: 3 }))
      .map(([unit, specs]) => unit + specs.join(',')),
  );
  fc.assert(
    fc.property(header, size, (text, bytes) => {
      try {
        const range = parseRange(text, bytes);
        if (range === null) return t.notRegex(text, /^bytes=/i);
        t.true(range.offset >= 0 && range.size > 0 && range.offset + range.size <= bytes);
      } catch (error) {
        t.true(isStoreError(error, 'bad_range') || isStoreError(error, 'range_not_satisfiable'), text);
      }
    }),
    { numRuns: 2_000 },
  );
});

for (const text of [
  'bytes=1 0-20',
  'bytes=0-1 0',
  'bytes=0 - 1',
  'bytes=0-1,',
  'bytes=0-1,3-4',
  'bytes=,0-1',
  'bytes=',
  'bytes=-',
  'bytes=--1',
  'bytes=2-1',
  'bytes=+1-2',
  'bytes=0x0-0x1',
  'bytes=0-1\u00a0',
]) {
  test(`refuses ${JSON.stringify(text)}`, (t) => {
    t.true(
      isStoreError(
        t.throws(() => parseRange(text, 100)),
        'bad_range',
      ),
    );
  });
}

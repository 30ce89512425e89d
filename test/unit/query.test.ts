import test from 'ava';
import fc from 'fast-check';
import type { Context } from 'koa';
import { isStoreError } from '../../src/core/errors.ts';
import { queryOf } from '../../src/http/validate.ts';

function queryIn(querystring: string): Record<string, string> {
  return queryOf({ querystring } as Context);
}

function isRefused(querystring: string): boolean {
  try {
    queryIn(querystring);
    return false;
  } catch (error) {
    if (!isStoreError(error, 'invalid_request')) throw error;
    return true;
  }
}

/** Unicode text without U+0000. */
const text = fc.string({ unit: 'grapheme' }).map((each) => each.replaceAll('\0', '').toWellFormed());

test('what a form or a client writes is read as it was meant', (t) => {
  fc.assert(
    fc.property(fc.dictionary(text, text, { noNullPrototype: true }), (fields) => {
      const pairs = Object.entries(fields).filter(([name]) => name !== '__proto__');
      const expected = Object.assign(Object.create(null), Object.fromEntries(pairs));
      t.deepEqual(queryIn(new URLSearchParams(pairs).toString()), expected);
      const encoded = pairs.map((pair) => pair.map(encodeURIComponent).join('='));
      t.deepEqual(queryIn(`&${encoded.join('&&')}&`), expected);
    }),
  );
});

test('any query is read, or refused as invalid_request', (t) => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary-ascii' }),
    fc.constantFrom('%', '%f', '%ff', '%00', '%zz', '&', '=', '+', '__proto__', '%c3%a9'),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const querystring = pieces.join('');
      if (isRefused(querystring)) return t.pass();
      for (const [name, value] of Object.entries(queryIn(querystring)))
        t.true((name + value).isWellFormed() && !value.includes('\0'));
    }),
    { numRuns: 2_000 },
  );
});

for (const [what, query] of [
  ['bytes that are not UTF-8', 'producer=%ff'],
  ['half of a surrogate pair', 'producer=%ed%a0%80'],
  ['a longer form of a character', 'producer=%c0%af'],
  ['no hex digits', 'producer=%zz'],
  ['an escape that is cut off', 'producer=%4'],
  ['a name that is not UTF-8', '%ff=1'],
  ['a name twice', 'producer=a&producer=a'],
  ['a name twice, once encoded', 'producer=a&%70roducer=b'],
  ['a name twice, without values', 'a&a='],
  ['U+0000', 'producer=a%00'],
  ['__proto__', '__proto__=1'],
  ['what others would have left out: the thousand-and-first', `${'&'.repeat(1_000)}producer=%ff`],
] as const) {
  test(`refuses ${what}`, (t) => {
    t.true(isRefused(query));
  });
}

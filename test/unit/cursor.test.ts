import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { isStoreError } from '../../src/core/errors.ts';
import { cursorCodec } from '../../src/http/cursor.ts';

const codec = cursorCodec(randomBytes(32));
const position = fc.oneof(
  fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  fc.string({ unit: 'grapheme' }),
  fc.record({ expires_at: fc.nat({ max: 8.64e15 }), id: fc.string({ unit: 'grapheme' }) }, { noNullPrototype: true }),
);
const list = fc.constantFrom('listPackages', 'listFiles pkg_1', 'listFiles pkg_1 deleted', '');

function isRefused(operation: string, cursor: string): boolean {
  try {
    codec.decode(operation, cursor);
    return false;
  } catch (error) {
    if (!isStoreError(error, 'invalid_cursor')) throw error;
    return true;
  }
}

test('a cursor is the position that it was made of, in its own list and in no other', (t) => {
  fc.assert(
    fc.property(list, list, position, (operation, other, at) => {
      const cursor = codec.encode(operation, at);
      t.deepEqual(codec.decode(operation, cursor), at);
      t.is(isRefused(other, cursor), other !== operation);
      t.true(isRefused(`${operation}x`, cursor));
      t.regex(cursor, /^[\w-]+$/);
    }),
  );
});

test('any text is a cursor that was given out, or refused', (t) => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.base64String(),
    fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64url')),
  );
  fc.assert(
    fc.property(list, text, (operation, cursor) => t.true(isRefused(operation, cursor))),
    { numRuns: 1_000 },
  );
});

test('a cursor has one spelling: with any character changed, more or fewer it is none', (t) => {
  fc.assert(
    fc.property(
      position,
      fc.nat(),
      fc.constantFrom('', '=', '==', ' ', '\n', '+', '/', '.', 'A', 'é'),
      (at, nth, text) => {
        const cursor = codec.encode('listFiles', at);
        const place = nth % (cursor.length + 1);
        for (const end of [place, place + 1]) {
          const changed = cursor.slice(0, place) + text + cursor.slice(end);
          t.is(isRefused('listFiles', changed), changed !== cursor, changed);
        }
        // Bits that no byte has: base64url readers pass over them.
        const last = cursor.at(-1) as string;
        for (const other of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') {
          t.is(isRefused('listFiles', cursor.slice(0, -1) + other), other !== last);
        }
      },
    ),
    { numRuns: 50 },
  );
});

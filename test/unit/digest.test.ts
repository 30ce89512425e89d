import { createHash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import {
  type Digest,
  digestFromBytes,
  digestHex,
  digestOf,
  digestToBytes,
  EMPTY_DIGEST,
  formatReprDigest,
  parseDigest,
  parseReprDigest,
} from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(digestFromBytes);

test('text, bytes and Repr-Digest are three ways to write one digest', (t) => {
  fc.assert(
    fc.property(digest, (value) => {
      t.is(parseDigest(value), value);
      t.is(digestFromBytes(digestToBytes(value)), value);
      t.is(parseReprDigest(formatReprDigest(value)), value);
    }),
  );
});

test('digestOf is SHA-256', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4096 }), (bytes) => {
      t.is(digestHex(digestOf(bytes)), createHash('sha256').update(bytes).digest('hex'));
    }),
  );
  t.is(digestOf(''), EMPTY_DIGEST);
});

for (const text of [
  '',
  'sha256:',
  EMPTY_DIGEST.toUpperCase(),
  `${EMPTY_DIGEST}0`,
  EMPTY_DIGEST.slice(0, -1),
  `sha512:${'0'.repeat(64)}`,
  ` ${EMPTY_DIGEST}`,
  `${EMPTY_DIGEST}\n`,
  `sha256:${'g'.repeat(64)}`,
  '../../etc/passwd',
]) {
  test(`refuses ${JSON.stringify(text)}`, (t) => {
    t.true(
      isStoreError(
        t.throws(() => parseDigest(text)),
        'invalid_digest',
      ),
    );
  });
}

test('a Repr-Digest among others is found, and rubbish is none', (t) => {
  const value = formatReprDigest(EMPTY_DIGEST as Digest);
  t.is(parseReprDigest(`sha-512=:AAAA:, ${value}`), EMPTY_DIGEST);
  t.is(parseReprDigest('sha-512=:AAAA:'), null);
  t.is(parseReprDigest('sha-256=:AAAA:'), null);
  t.is(parseReprDigest(''), null);
});

test('a digest in Repr-Digest has one spelling, and stands there once', (t) => {
  const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  fc.assert(
    fc.property(digest, digest, fc.constantFrom(...base64), (value, other, letter) => {
      const header = formatReprDigest(value);
      // Bits of the last letter that no byte has.
      const spelt = `${header.slice(0, -3)}${letter}=:`;
      const read = parseReprDigest(spelt);
      t.is(read === null, base64.indexOf(letter) % 4 !== 0);
      if (read !== null) t.is(formatReprDigest(read), spelt);
      t.is(parseReprDigest(`${header};a=1, md5=:AAAA:`), value);
      t.is(parseReprDigest(`${formatReprDigest(other)}, ${header}`), null);
      t.is(parseReprDigest(`a="b, ${header}, c"`), null, 'in a text');
      t.is(parseReprDigest(`a=(${header})`), null, 'in a list');
      for (const none of [
        header.replace('=:', '= :'),
        header.replace('s', 'S'),
        header.slice(0, -1),
        `${header},`,
        `,${header}`,
        header.replace('=:', ''),
        `${header}x`,
      ]) {
        t.is(parseReprDigest(none), null, none);
      }
    }),
  );
});

test('any text is a digest in its one spelling, or refused', (t) => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(
        fc.constantFrom('sha256:', 'SHA256:', 'sha256', ''),
        fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEFg '), minLength: 62, maxLength: 66 }),
      )
      .map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (each) => {
      t.notThrows(() => parseReprDigest(each));
      try {
        t.is(digestFromBytes(digestToBytes(parseDigest(each))), each as Digest);
      } catch (error) {
        t.true(isStoreError(error, 'invalid_digest'));
      }
    }),
    { numRuns: 500 },
  );
});

test('only 32 bytes are a digest', (t) => {
  t.throws(() => digestFromBytes(new Uint8Array(31)), { instanceOf: RangeError });
});

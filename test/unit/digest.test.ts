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

test('only 32 bytes are a digest', (t) => {
  t.throws(() => digestFromBytes(new Uint8Array(31)), { instanceOf: RangeError });
});

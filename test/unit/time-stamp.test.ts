import { hash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { readTimeStamp, TimeStampError, timeStampRequest } from '../../src/core/time-stamp.ts';
import { type OpensslAuthority, opensslAuthority } from '../support/openssl-authority.ts';

const BYTES = Buffer.from('a checkpoint\n');
const NONCE = Buffer.from('f0e1d2c3b4a59687', 'hex');
let authority: OpensslAuthority;
let response: Buffer;

test.before(() => {
  authority = opensslAuthority();
  response = authority.answer(timeStampRequest(BYTES, NONCE));
});

test.after.always(() => authority.dispose());

test('openssl reads the request as what it is', (t) => {
  authority.put('request', timeStampRequest(BYTES, NONCE));
  const text = authority.openssl('ts', '-query', '-in', 'request', '-text');
  t.regex(text, /Version: 1\nHash Algorithm: sha256/);
  t.regex(text, /Nonce: 0xF0E1D2C3B4A59687\nCertificate required: yes/);
});

test('the stamp of a real authority is read, for its question or for any, and openssl verifies it over the bytes', (t) => {
  const time = readTimeStamp(response, BYTES, NONCE);
  t.is(readTimeStamp(response, BYTES, null), time);
  const [, said] = /Time stamp: (.*)/.exec(authority.openssl('ts', '-reply', '-in', 'response', '-text')) ?? [];
  t.is(new Date(time).toISOString(), new Date(said as string).toISOString());
  t.true(authority.verifies(response, BYTES));
  t.false(authority.verifies(response, 'other bytes'));
});

test('a changed byte of the hash or of the nonce is noticed', (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom(hash('sha256', BYTES, 'buffer'), NONCE),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (part, at, bits) => {
        const changed = Buffer.from(response);
        const place = changed.indexOf(part) + (at % part.length);
        changed[place] = (changed[place] as number) ^ bits;
        t.throws(() => readTimeStamp(changed, BYTES, NONCE), { instanceOf: TimeStampError });
      },
    ),
  );
});

test('a nonce of any bytes comes back, with zeros before it, too', (t) => {
  for (const hex of ['0000000000000000', '0000000000000080', '007fffffffffffff', 'ffffffffffffffff']) {
    const nonce = Buffer.from(hex, 'hex');
    t.notThrows(() => readTimeStamp(authority.answer(timeStampRequest(BYTES, nonce)), BYTES, nonce), hex);
  }
});

test('a refusal, the beginning of an answer, more than one, and garbage are no stamps, and say so', (t) => {
  const refusal = authority.answer(Buffer.from('not a query'));
  t.throws(() => readTimeStamp(refusal, BYTES, NONCE), { message: 'is a refusal, with status 2' });
  const none = (bytes: Buffer) => t.throws(() => readTimeStamp(bytes, BYTES, null), { instanceOf: TimeStampError });
  for (const length of [0, 1, 2, 5, 40, response.length - 1]) none(response.subarray(0, length));
  none(Buffer.concat([response, Buffer.alloc(1)]));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      none(Buffer.from(bytes));
    }),
  );
});

test('whatever bytes of an answer are changed, it is read or refused, and nothing else is thrown', (t) => {
  fc.assert(
    fc.property(fc.nat({ max: response.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, bits) => {
      const changed = Buffer.from(response);
      changed[at] = (changed[at] as number) ^ bits;
      try {
        readTimeStamp(changed, BYTES, NONCE);
      } catch (error) {
        if (!(error instanceof TimeStampError)) throw error;
      }
      return true;
    }),
  );
  t.pass();
});

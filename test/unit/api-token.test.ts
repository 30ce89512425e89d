import { hash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { API_TOKEN, actorOfToken } from '../../src/core/api-token.ts';
import { newId, type ShareId, type TokenId } from '../../src/core/ids.ts';
import { SHARE_TOKEN } from '../../src/core/share-token.ts';
import { hashOfToken, isLive, isToken } from '../../src/core/token-form.ts';

const ID = newId('tok', Date.UTC(2026, 10, 28)) as TokenId;

test('a token has a recognizable prefix, its id, and a checksum that a scanner can compute', (t) => {
  const token = API_TOKEN.create(ID);
  t.regex(token, /^arts_[0-9a-f]{88}$/);
  t.is(token.slice(5, 37), ID.slice(4));
  t.is(token.slice(-8), hash('sha256', token.slice(0, -8), 'hex').slice(0, 8));
  t.is(API_TOKEN.idOf(token), ID);
});

test('two tokens of one id differ: the rest is random', (t) => {
  t.not(API_TOKEN.create(ID), API_TOKEN.create(ID));
});

test('one changed character, wherever, is no token any more', (t) => {
  const token = API_TOKEN.create(ID);
  let refused = 0;
  fc.assert(
    fc.property(fc.nat(token.length - 1), fc.constantFrom(...'0123456789abcdefA_-'), (at, character) => {
      const altered = token.slice(0, at) + character + token.slice(at + 1);
      if (altered !== token) refused += 1;
      return altered === token || API_TOKEN.idOf(altered) === null;
    }),
  );
  t.true(refused > 50);
});

test('whatever else is sent as a bearer is no token', (t) => {
  fc.assert(fc.property(fc.string(), (text) => API_TOKEN.idOf(text) === null));
  t.is(API_TOKEN.idOf(`${API_TOKEN.create(ID)}\n`), null);
  t.is(
    API_TOKEN.idOf(API_TOKEN.create('pkg_0198f3a1b2c40d5e0f90a1b2c3d4e5f6' as TokenId)),
    null,
    'its id is no UUIDv7',
  );
});

test('the token of a share is one of its own kind, and none of the API', (t) => {
  const share = newId('shr', Date.UTC(2026, 10, 28)) as ShareId;
  const token = SHARE_TOKEN.create(share);
  t.regex(token, /^artsh_[0-9a-f]{88}$/);
  t.is(SHARE_TOKEN.idOf(token), share);
  t.is(API_TOKEN.idOf(token), null);
  t.is(SHARE_TOKEN.idOf(API_TOKEN.create(ID)), null);
});

test('a token fits its own hash alone', (t) => {
  const token = API_TOKEN.create(ID);
  t.true(isToken(token, hashOfToken(token)));
  t.false(isToken(token, hashOfToken(API_TOKEN.create(ID))));
  t.false(isToken(token, null));
});

test('a token ends at its expiry, and when it is revoked', (t) => {
  t.true(isLive({ expires_at: null, revoked_at: null }, 1));
  t.true(isLive({ expires_at: 10, revoked_at: null }, 9));
  t.false(isLive({ expires_at: 10, revoked_at: null }, 10));
  t.false(isLive({ expires_at: null, revoked_at: 5 }, 6));
});

test('no name makes a token stand in the audit as somebody else', (t) => {
  for (const name of ['admin', 'local', `x:${ID}`]) t.is(actorOfToken({ id: ID, name }), `token:${name}:${ID}`);
});

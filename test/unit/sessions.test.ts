import { randomBytes } from 'node:crypto';
import test from 'ava';
import type { Context } from 'koa';
import { isStoreError } from '../../src/core/errors.ts';
import { sealedSessions } from '../../src/core/sealed-session.ts';
import { assertOwnForm, nextPage, sessions } from '../../src/ui/sessions.ts';

function contextOf(
  sent: Record<string, string>,
  host = '127.0.0.1:8420',
): { ctx: Context; set: Record<string, string> } {
  const set: Record<string, string> = {};
  const ctx = {
    host,
    get: (name: string) => sent[name] ?? '',
    set: (name: string, value: string) => {
      set[name] = value;
    },
  };
  return { ctx: ctx as unknown as Context, set };
}

test('what was sealed is opened by the same key until its time is over, and nothing else', (t) => {
  const sealed = sealedSessions(randomBytes(32));
  const text = sealed.seal('token with ü\nand a line', 1_000);
  t.is(sealed.open(text, 999), 'token with ü\nand a line');
  t.is(sealed.open(text, 1_000), null);
  t.is(sealedSessions(randomBytes(32)).open(text, 0), null);
  t.not(sealed.seal('a', 1), sealed.seal('a', 1));
  for (let at = 0; at < text.length; at++) {
    const other = text[at] === 'A' ? 'Q' : 'A';
    t.is(sealed.open(text.slice(0, at) + other + text.slice(at + 1), 0), null);
    t.is(sealed.open(text.slice(0, at), 0), null);
  }
});

test('over https the cookie is its host’s alone, and never sent in clear', async (t) => {
  const options = { sealed: sealedSessions(randomBytes(32)), now: async () => 0 };
  const secure = sessions({ ...options, publicUrl: () => 'https://store.example' });
  const { ctx, set } = contextOf({});
  await secure.begin(ctx, 'token');
  const cookie = set['Set-Cookie'] as string;
  t.regex(cookie, /^__Host-artifact-store=[\w-]+; Path=\/; HttpOnly; SameSite=Lax; Secure; Max-Age=43200$/);
  const pair = cookie.split(';')[0] as string;
  t.is(await secure.authorization(contextOf({ cookie: `a=b; ${pair}; c=d` }).ctx), 'Bearer token');
  const plain = sessions({ ...options, publicUrl: () => 'http://127.0.0.1:8420' });
  t.is(await plain.authorization(contextOf({ cookie: pair }).ctx), undefined);
  const renamed = pair.replace('__Host-artifact-store', 'artifact-store-8420');
  t.is(await plain.authorization(contextOf({ cookie: renamed }).ctx), 'Bearer token');
  await t.throwsAsync(plain.begin(contextOf({}).ctx, 'x'.repeat(4_000)), { message: /too long for a browser/ });
});

test('a form is its own by the address that is public, or by the one that was called', (t) => {
  const own = (sent: Record<string, string>): boolean => {
    try {
      assertOwnForm(contextOf(sent, 'inside:8420').ctx, 'https://store.example');
      return true;
    } catch (error) {
      return !isStoreError(error, 'foreign_origin');
    }
  };
  t.true(own({ origin: 'https://store.example', 'sec-fetch-site': 'same-origin' }));
  t.true(own({ origin: 'http://inside:8420' }));
  for (const sent of [
    {},
    { origin: 'null' },
    { origin: 'https://store.example.evil' },
    { origin: 'https://store.example', 'sec-fetch-site': 'none' },
  ]) {
    t.false(own(sent as Record<string, string>), JSON.stringify(sent));
  }
});

test('where signing in leads is a page, as it was asked for', (t) => {
  for (const page of ['/ui', '/ui/packages/pkg_1/files/a%20b?x=%2F', '/ui?a=b']) t.is(nextPage(page), page);
  for (const other of [
    undefined,
    '',
    'ui',
    '//ui',
    '/ui/../x',
    '/uix',
    '/ui\\',
    '/ui/%2E%2E/x',
    '/ui/login?next=/ui',
    '/ui#a',
    '/ui?a=//b',
  ]) {
    t.is(nextPage(other), '/ui', other);
  }
});

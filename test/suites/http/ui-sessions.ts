import { setImmediate as nextTurn } from 'node:timers/promises';
import { SESSION_MS } from '../../../src/ui/sessions.ts';
import { type Api, apiOf } from '../../support/api.ts';
import { cookieOf, get, post, signIn } from '../../support/pages.ts';
import { openRaw } from '../../support/raw-http.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testWith } from '../../support/service-suite.ts';
import { ADMIN_TOKEN, makeToken } from '../../support/tokens.ts';

interface Fixture {
  service: TestService;
  admin: Api;
  alice: string;
}

/** Signing in to the pages, and who is kept from doing it for others. */
export function uiSessionsSuite(startTestService: StartTestService): void {
  const test = testWith<Fixture>(async () => {
    const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
    const admin = apiOf(service.url, ADMIN_TOKEN);
    // Without any, what is no page needs none.
    await makeToken(admin, { scopes: ['packages:read'] });
    return { service, admin, alice: await admin.preserve({ c: 'x' }, { producer: 'alice' }) };
  });

  test('who is not signed in is led to the form and back to where it was going', async (t) => {
    const { service, alice } = t.context;
    const first = await get(service, `/ui/packages/${alice}?x=1`);
    t.is(first.status, 302);
    t.is(first.headers.get('location'), `/ui/login?next=${encodeURIComponent(`/ui/packages/${alice}?x=1`)}`);
    t.is(first.headers.get('www-authenticate'), null, 'no browser asks for a password of its own');
    const form = await get(service, first.headers.get('location') as string);
    t.is(form.status, 200);
    t.true(form.text.includes(`name="next" value="/ui/packages/${alice}?x=1"`));
    const signed = await signIn(service, { token: ADMIN_TOKEN, next: `/ui/packages/${alice}?x=1` });
    t.is(signed.status, 303);
    t.is(signed.headers.get('location'), `/ui/packages/${alice}?x=1`);
  });

  test('the cookie is for the pages alone, and no token', async (t) => {
    const { service, alice } = t.context;
    const signed = await signIn(service, { token: ADMIN_TOKEN });
    const cookie = signed.headers.get('set-cookie') as string;
    t.regex(cookie, /^artifact-store-\d+=[\w-]+; Path=\/ui; HttpOnly; SameSite=Lax; Max-Age=43200$/);
    t.false(cookie.includes(ADMIN_TOKEN));
    t.false(Buffer.from(cookieOf(signed).split('=')[1] as string, 'base64url').includes(ADMIN_TOKEN));
    t.is((await get(service, '/ui', cookieOf(signed))).status, 200);
    for (const path of ['/v1/packages', `/v1/packages/${alice}`, '/metrics', '/openapi.json']) {
      t.is((await get(service, path, cookieOf(signed))).status, 401, path);
    }
    const post = await fetch(`${service.url}/v1/packages`, {
      method: 'POST',
      headers: { cookie: cookieOf(signed), 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'n', producer: 'p' }),
    });
    t.is(post.status, 401, 'no form of another site reaches the API by it');
    const [name, value = ''] = cookieOf(signed).split('=');
    const changed = (value[20] === 'A' ? 'B' : 'A') + value.slice(21);
    for (const other of [`${value.slice(0, 20)}${changed}`, value.slice(0, -4), ADMIN_TOKEN, '', 'AAAA']) {
      t.is((await get(service, '/ui', `${name}=${other}`)).status, 302, 'a cookie that was not sealed here');
    }
  });

  test('a form of another site signs nobody in or out', async (t) => {
    const { service } = t.context;
    const cookie = cookieOf(await signIn(service, { token: ADMIN_TOKEN }));
    for (const headers of [
      {},
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: service.url, 'sec-fetch-site': 'cross-site' },
      { origin: service.url, 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'same-origin' },
    ]) {
      for (const path of ['/ui/login', '/ui/logout']) {
        const answer = await post(service, path, { token: ADMIN_TOKEN }, { cookie, ...headers } as Record<
          string,
          string
        >);
        t.is(answer.status, 403, `${path} ${JSON.stringify(headers)}`);
        t.is(answer.headers.get('set-cookie'), null);
      }
    }
    t.is((await get(service, '/ui/logout', cookie)).status, 405, 'no link signs out');
    const out = await post(service, '/ui/logout', {}, { cookie, origin: service.url, 'sec-fetch-site': 'same-origin' });
    t.is(out.status, 303);
    t.regex(out.headers.get('set-cookie') as string, /=; Path=\/ui; .*Max-Age=0$/);
  });

  test('signing in leads nowhere but to a page of this service', async (t) => {
    const { service } = t.context;
    const bad = [
      'https://evil.example/ui',
      '//evil.example/ui',
      '/\\evil.example',
      '/ui//evil.example',
      '/uix',
      '/v1/packages',
      '/ui/../v1/packages',
      '/ui/%2e%2e/%2e%2e/v1',
      '/ui/..%2f',
      'javascript:alert(1)',
      '/ui\n/x',
      '/ui/logout',
      '',
    ];
    for (const next of bad) {
      const { pathname, origin } = new URL(
        (await signIn(service, { token: ADMIN_TOKEN, next })).headers.get('location') as string,
        service.url,
      );
      t.is(origin, new URL(service.url).origin, next);
      t.regex(pathname, /^\/ui(?:\/\.\.%2f)?$/, next);
    }
    const good = '/ui?producer=a%20b&cursor=x';
    t.is((await signIn(service, { token: ADMIN_TOKEN, next: good })).headers.get('location'), good);
  });

  test('a token that is none is refused in the form, and one that ends or is revoked ends the session', async (t) => {
    const { service, admin } = t.context;
    for (const token of ['', 'nothing', 'two words']) {
      const answer = await signIn(service, { token });
      t.is(answer.status, 401);
      t.is(answer.headers.get('set-cookie'), null);
      t.regex(answer.text, /role="alert"/);
      t.false(answer.text.includes('value="nothing"'), 'it is not shown again');
    }
    const made = await makeToken(admin, { scopes: ['packages:read'] });
    const cookie = cookieOf(await signIn(service, { token: made.token }));
    t.is((await get(service, '/ui', cookie)).status, 200);
    await admin.call('DELETE', `/v1/tokens/${made.id}`);
    t.is((await get(service, '/ui', cookie)).status, 302);
    const long = await signIn(service, { token: 'x'.repeat(20_000) });
    t.is(long.status, 413);
  });

  test('a form that was held back until its token was revoked changes nothing', async (t) => {
    const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
    t.teardown(() => service.dispose());
    const admin = apiOf(service.url, ADMIN_TOKEN);
    const { id, token } = await makeToken(admin, { scopes: ['packages:read', 'packages:share'] });
    const shares = `packages/${await admin.preserve({ c: 'x' }, { producer: 'alice' })}/shares`;
    const cookie = cookieOf(await signIn(service, { token }));
    const usedAt = async () => (await admin.get('/v1/tokens')).body.items[0].last_used_at;
    const before = await usedAt();
    // Its use is noted again: so it is seen that the session was looked at.
    service.sleepDays(1 / 24);
    const form = 'days=30&note=later';
    const { hostname, port } = new URL(service.url);
    const { socket, closed } = openRaw(service.url);
    socket.write(
      `POST /ui/${shares} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nOrigin: ${service.url}\r\nCookie: ${cookie}\r\nConnection: close\r\n` +
        `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form.slice(0, 4)}`,
    );
    while ((await usedAt()) === before) await nextTurn();
    await admin.call('DELETE', `/v1/tokens/${id}`);
    socket.write(form.slice(4));
    t.regex(await closed, /^HTTP\/1\.1 401 /);
    t.deepEqual((await admin.get(`/v1/${shares}`)).body.items, []);
  });

  test('a session ends by the time of the registry', async (t) => {
    const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
    t.teardown(() => service.dispose());
    const cookie = cookieOf(await signIn(service, { token: ADMIN_TOKEN }));
    t.is((await get(service, '/ui', cookie)).status, 200);
    service.sleepDays((SESSION_MS - 60_000) / 86_400_000);
    t.is((await get(service, '/ui', cookie)).status, 200);
    service.sleepDays(60_000 / 86_400_000);
    t.is((await get(service, '/ui', cookie)).status, 302);
  });

  test('without tokens on loopback nobody signs in, and other sites are refused', async (t) => {
    const service = await startTestService();
    t.teardown(() => service.dispose());
    const page = await get(service, '/ui');
    t.is(page.status, 200);
    t.notRegex(page.text, /Sign out/);
    t.is((await get(service, '/ui/login')).headers.get('location'), '/ui');
    const foreign = await fetch(`${service.url}/ui`, { headers: { origin: 'https://evil.example' } });
    t.is(foreign.status, 403);
  });
}

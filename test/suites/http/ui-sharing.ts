import { type Api, apiOf } from '../../support/api.ts';
import { cookieOf, get, post, signIn } from '../../support/pages.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testWith } from '../../support/service-suite.ts';
import { ADMIN_TOKEN, makeToken } from '../../support/tokens.ts';

interface Fixture {
  service: TestService;
  admin: Api;
}

const MARKUP = '<img src=x onerror=alert(1)>';

/** Pages by which people find files, take packages away, and show them to others. */
export function uiSharingSuite(startTestService: StartTestService): void {
  const test = testWith<Fixture>(async () => {
    const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
    return { service, admin: apiOf(service.url, ADMIN_TOKEN) };
  });

  const signedIn = async (service: TestService, token: string) => cookieOf(await signIn(service, { token }));

  test('a package is taken away in every format, with the bytes that the API gives', async (t) => {
    const { service, admin } = t.context;
    const id = await admin.preserve({ 'a/b.txt': 'evidence', c: 'x' }, { producer: 'alice' });
    const cookie = await signedIn(service, ADMIN_TOKEN);
    const page = (await get(service, `/ui/packages/${id}`, cookie)).text;
    for (const format of ['tar', 'zip', 'bagit', 'bagit.tar']) {
      const query = `archive?format=${format}`;
      t.true(page.includes(`/ui/packages/${id}/${query}`), format);
      const ours = await get(service, `/ui/packages/${id}/${query}`, cookie);
      const theirs = await fetch(`${service.url}/v1/packages/${id}/${query}`, {
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
      });
      t.is(ours.status, 200, format);
      t.is(ours.text, await theirs.text(), format);
      t.is(ours.headers.get('etag'), theirs.headers.get('etag'), format);
      t.is(ours.headers.get('content-security-policy'), "sandbox; default-src 'none'", format);
      t.regex(ours.headers.get('content-disposition') as string, /^attachment; /, format);
    }
    const { token } = await makeToken(admin, { scopes: ['packages:read'], producers: ['bob'] });
    const bob = await signedIn(service, token);
    t.is((await get(service, `/ui/packages/${id}/archive?format=zip`, bob)).status, 404);
  });

  test('files are found by name and digest, and only where one may read', async (t) => {
    const { service, admin } = t.context;
    const id = await admin.preserve({ [`logs/${MARKUP.replace('/', '')}.log`]: 'found' }, { producer: 'alice' });
    await admin.preserve({ 'logs/plain.log': 'to be found' }, { producer: 'alice' });
    const [{ digest }] = (await admin.get('/v1/files?name=plain.log')).body.items;
    const cookie = await signedIn(service, ADMIN_TOKEN);
    const { token } = await makeToken(admin, { scopes: ['packages:read'], producers: ['bob'] });
    const bob = await signedIn(service, token);
    for (const sought of ['plain.log', 'plain*', digest, digest.slice('sha256:'.length).toUpperCase()]) {
      const address = `/ui/find?q=${encodeURIComponent(sought)}`;
      t.true((await get(service, address, cookie)).text.includes('/files/logs/plain.log'), sought);
      if (!sought.endsWith('*')) {
        t.true((await get(service, address, bob)).text.includes('No file has that name or digest'), sought);
      }
    }
    const hostile = await get(service, `/ui/find?q=${encodeURIComponent(`${MARKUP.slice(0, 8)}*`)}`, cookie);
    t.true(hostile.text.includes('&lt;img'));
    t.false(hostile.text.includes('<img'));
    const led = await get(service, `/ui/find?q=${id}`, cookie);
    t.is(led.headers.get('location'), `/ui/packages/${id}`);
    t.is((await get(service, '/ui/find?q=a%2Fb', cookie)).status, 422);
    t.is((await get(service, '/ui/find', cookie)).status, 200);
  });

  test('a link for others is made and ended by forms of the page alone, and by who may', async (t) => {
    const { service, admin } = t.context;
    const id = await admin.preserve({ 'a.txt': 'for others' }, { producer: 'alice' });
    const shares = `/ui/packages/${id}/shares`;
    const { token } = await makeToken(admin, { scopes: ['packages:read', 'packages:share'] });
    const cookie = await signedIn(service, token);
    const made = await post(service, shares, { days: '1', note: MARKUP }, { origin: service.url, cookie });
    t.is(made.status, 200);
    const link = /href="([^"]*\/ui\/shared\/[^"]*)"/.exec(made.text)?.[1] as string;
    t.is((await get(service, new URL(link).pathname)).status, 200);
    const page = (await get(service, `/ui/packages/${id}`, cookie)).text;
    t.true(page.includes('&lt;img') && !page.includes('<img'));
    t.false(page.includes(new URL(link).pathname), 'it is shown once');

    const revoke = /action="([^"]*\/revoke)"/.exec(page)?.[1] as string;
    for (const origin of ['https://evil.example', 'null']) {
      t.is((await post(service, shares, { days: '1' }, { origin, cookie })).status, 403);
      t.is((await post(service, revoke, {}, { origin, cookie })).status, 403);
    }
    for (const days of ['0', '-1', '1.5', 'x', '9999'])
      t.is((await post(service, shares, { days }, { origin: service.url, cookie })).status, 422, days);
    const reader = await signedIn(service, (await makeToken(admin, { scopes: ['packages:read'] })).token);
    t.is((await post(service, shares, { days: '1' }, { origin: service.url, cookie: reader })).status, 403);
    t.false((await get(service, `/ui/packages/${id}`, reader)).text.includes('Links for others'));
    t.is((await get(service, new URL(link).pathname)).status, 200);

    t.is((await post(service, revoke, {}, { origin: service.url, cookie })).status, 303);
    t.is((await get(service, new URL(link).pathname)).status, 404);
    t.is((await admin.get(`/v1/packages/${id}/shares`)).body.items.length, 1);
  });
}

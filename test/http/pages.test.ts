import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { ERROR_TABLE } from '../../src/core/errors.ts';
import { apiOf } from '../support/api.ts';
import { freePorts } from '../support/ports.ts';
import { startTestService, type TestService, type TestServiceOptions } from '../support/service.ts';
import { ADMIN_TOKEN, clientWith } from '../support/tokens.ts';

/** What a browser gets: the page at /, and the pages that `type` of a problem leads to. */
async function start(t: ExecutionContext, options: TestServiceOptions = {}): Promise<TestService> {
  const service = await startTestService(options);
  t.teardown(() => service.dispose());
  return service;
}

const BROWSER = { accept: 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8' };

function assertStrict(t: ExecutionContext, page: Response, html: string): void {
  t.is(page.headers.get('content-type'), 'text/html; charset=utf-8');
  const policy = page.headers.get('content-security-policy') ?? '';
  t.regex(
    policy,
    /^default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
  );
  t.notRegex(policy, /unsafe/);
  t.notRegex(html, /<script|\son\w+=|style=|<(?:img|link|iframe|form|base)\b|(?:href|src)="https?:/i);
}

test('the type of a problem leads to the code on a page, also for who has no token', async (t) => {
  const { url } = await start(t, { env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
  await clientWith(url, apiOf(url, ADMIN_TOKEN), { scopes: ['packages:read'] });
  const refused = await fetch(`${url}/v1/packages`);
  const { type, code } = (await refused.json()) as { type: string; code: string };
  t.is(code, 'unauthenticated');
  t.is(type, '/docs/errors#unauthenticated', 'the address that clients use is not known: they resolve it');
  const at = new URL(type, refused.url);
  const page = await fetch(at);
  t.is(page.status, 200);
  const html = await page.text();
  t.true(html.includes(`<tr id="${at.hash.slice(1)}">`));
  assertStrict(t, page, html);
  t.deepEqual(
    [...html.matchAll(/ id="(\w+)"/g)].map(([, id]) => id).toSorted(),
    Object.keys(ERROR_TABLE).toSorted(),
    'each code once',
  );
  t.is((await fetch(at, { method: 'HEAD' })).status, 200);
});

test('with a public URL the type is absolute, also where no request could be read', async (t) => {
  const [port = 0] = await freePorts(1);
  await start(t, {
    env: { ARTIFACT_STORE_PORT: String(port), ARTIFACT_STORE_PUBLIC_URL: 'https://store.example/kept/' },
  });
  const api = apiOf(`http://127.0.0.1:${port}`);
  const type = 'https://store.example/kept/docs/errors#';
  t.is((await api.get('/v1/packages/pkg_0')).body.type, `${type}package_not_found`);
  const socket = connect(port, '127.0.0.1');
  socket.write('this is not HTTP\r\n\r\n');
  t.true((await text(socket)).includes(`"type":"${type}bad_request"`));
});

test('the page of errors says what docs/errors.md says, and links to no page that is not served', async (t) => {
  const { url } = await start(t);
  const html = await (await fetch(`${url}/docs/errors`)).text();
  const words = (text: string) => text.replace(/[^\p{L}]+/gu, ' ').trim();
  const shown = words(
    html
      .replace(/<small>.*?<\/small>/g, '')
      .replace(/<[^>]*>/g, ' ')
      .replaceAll(/&\w+;|&#\d+;/g, ' '),
  );
  const page = await readFile(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  for (const line of page.split('\n').filter((row) => /^\| `/.test(row))) {
    t.true(shown.includes(words(line.replaceAll(/\]\([^)]*\)/g, '').replaceAll(/[&<>"']/g, ' '))), line);
  }
  for (const [, href = ''] of html.matchAll(/href="([^"]*)"/g)) t.true(href.startsWith('#'), href);
});

test('/ says what this is: a page for browsers, JSON for others, and every link of it opens', async (t) => {
  const { url } = await start(t);
  const page = await fetch(url, { headers: BROWSER });
  const html = await page.text();
  assertStrict(t, page, html);
  t.regex(html, /<h1>artifact-store \d+\.\d+\.\d+<\/h1>/);
  t.is(page.headers.get('vary'), 'Accept');
  const links = [...html.matchAll(/href="([^"]*)"/g)].map(([, href]) => href as string);
  t.true(links.length >= 4);
  for (const link of links) t.is((await fetch(new URL(link, `${url}/`))).status, 200, link);
  const { body } = await apiOf(url).get('/');
  t.deepEqual(Object.keys(body), ['name', 'version', 'description', 'links']);
  t.deepEqual(
    body.links,
    links.map((link) => `/${link}`),
  );
  for (const path of ['/docs', '/docs/errors']) {
    const answer = await fetch(url + path);
    assertStrict(t, answer, await answer.text());
  }
});

test('once tokens are in use, / tells strangers no version', async (t) => {
  const { url } = await start(t, { env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
  const admin = apiOf(url, ADMIN_TOKEN);
  const reader = await clientWith(url, admin, { scopes: ['packages:read'] });
  const stranger = await apiOf(url).get('/');
  t.is(stranger.status, 200);
  t.false('version' in stranger.body);
  const html = await (await fetch(url, { headers: BROWSER })).text();
  t.notRegex(html, /\d+\.\d+\.\d+/);
  t.truthy((await reader.get('/')).body.version);
});

import type { ExecutionContext } from 'ava';
import { type Answer, type Api, apiOf } from '../../support/api.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testWith } from '../../support/service-suite.ts';
import { ADMIN_TOKEN, clientWith } from '../../support/tokens.ts';

interface Context {
  service: TestService;
  admin: Api;
  stranger: Api;
}

const MARKUP = `<img src=x onerror=alert(1)>"'&.txt`;
const REPORT =
  '<!doctype html><title>r</title><link rel=stylesheet href="a/style.css"><script>document.title="ran"</script>';
const SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>';
/** A GIF that is a script, too. */
const POLYGLOT = Buffer.from('GIF89a/*\u0001\u0000*/=1;alert(1)//', 'latin1');

const FILES: Record<string, string | Uint8Array> = {
  'report.html': REPORT,
  'a/style.css': 'body{color:red}',
  'a/lib.js': 'self.loaded = 1',
  'a/index.html': 'index of a',
  'x.svg': SVG,
  'poly.gif': POLYGLOT,
  'page.txt': '<script>alert(1)</script>\n\u001b[31mred\u001b[0m <b>bold</b>\n\u202egnp',
  [MARKUP]: 'hostile name',
  'data.json': '{"big":12345678901234567890,"html":"</pre><script>"}',
  'doc.pdf': '%PDF-1.4',
  blob: Buffer.from([0, 1, 2, 255]),
  unknown: 'text, by its looks',
  'feed.xml': '<?xml version="1.0"?><?xml-stylesheet href="x.xsl"?><a/>',
  'big.log': Array.from(
    { length: 30_000 },
    (_, n) => `line ${n + 1}${n % 1_000 === 0 ? ' an ERROR' : ''} ${'.'.repeat(40)}`,
  ).join('\n'),
};

/** Pages that show files, and the files themselves, shut off. */
export function evidenceSuite(startTestService: StartTestService): void {
  const test = testWith<Context>(async () => {
    const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
    return { service, admin: apiOf(service.url, ADMIN_TOKEN), stranger: apiOf(service.url) };
  });

  const encoded = (path: string) => path.split('/').map(encodeURIComponent).join('/');
  const viewed = (api: Api, id: string, path: string, query = '') =>
    api.get(`/ui/packages/${id}/files/${encoded(path)}${query}`);
  const preserved = (t: ExecutionContext<Context>, fields = {}) => t.context.admin.preserve(FILES, fields);
  const withoutRequest = ({ body }: Answer) => (body as string).replace(/<code>[0-9a-f-]{36}<\/code>/, '');
  /** Where the page's file itself is. */
  const rawOf = (page: Answer) => /\/ui\/evidence\/[\w.-]+\//.exec(page.body)?.[0] as string;

  test('whatever a file is called or contains, its page has no markup of it, and no script', async (t) => {
    const id = await preserved(t);
    for (const path of Object.keys(FILES)) {
      const page = await viewed(t.context.admin, id, path);
      t.is(page.status, 200, path);
      t.notRegex(page.body, /<script|<b>|<img src=x|onerror=alert\(1\)>/, path);
      const csp = page.headers.get('content-security-policy') as string;
      t.notRegex(csp, /unsafe|script-src|\*|data:/);
      t.regex(csp, /^default-src 'none';/);
      t.is(page.headers.get('x-content-type-options'), 'nosniff');
      t.is(page.headers.get('referrer-policy'), 'same-origin');
    }
    const text = (await viewed(t.context.admin, id, 'page.txt')).body;
    t.true(text.includes('&lt;script&gt;alert(1)&lt;/script&gt;'));
    t.true(text.includes('<span class="a-f1">red</span> &lt;b&gt;bold'));
    t.true(text.includes('&lt;U+202E&gt;gnp'), 'what would turn the line round is shown');
    t.true(text.includes('<a class="n" id="L2" href="#L2">2</a>'));
    const json = (await viewed(t.context.admin, id, 'data.json')).body;
    t.true(json.includes('  &quot;big&quot;: 12345678901234567890,'), 'every digit');
    t.regex((await viewed(t.context.admin, id, 'blob')).body, /not a text: it can only be downloaded/);
    t.regex((await viewed(t.context.admin, id, 'unknown')).body, /text, by its looks/);
  });

  test('what can run is in a frame that is nobody; never allow-same-origin', async (t) => {
    const id = await preserved(t);
    for (const path of ['report.html', 'x.svg']) {
      const page = await viewed(t.context.admin, id, path);
      const [frame = ''] = /<iframe[^>]*>/.exec(page.body) ?? [];
      t.regex(frame, /sandbox="allow-scripts" referrerpolicy="no-referrer"/);
      t.false(frame.includes('allow-same-origin'));
      const source = await viewed(t.context.admin, id, path, '?view=source');
      t.false(source.body.includes('<iframe'));
      t.true(source.body.includes('&lt;script&gt;'));
    }
  });

  test('every file itself is sandboxed, of a type from the table, and what is not known is saved', async (t) => {
    const { admin, stranger, service } = t.context;
    const id = await admin.preserve(FILES);
    const raw = rawOf(await viewed(admin, id, 'report.html'));
    const host = new URL(service.url).host;
    for (const [path, type, disposition] of [
      ['report.html', 'text/html; charset=utf-8', 'inline'],
      ['x.svg', 'image/svg+xml', 'inline'],
      ['poly.gif', 'image/gif', 'inline'],
      ['a/style.css', 'text/css; charset=utf-8', 'inline'],
      ['a/lib.js', 'text/javascript; charset=utf-8', 'inline'],
      ['feed.xml', 'text/plain; charset=utf-8', 'inline'],
      ['doc.pdf', 'application/pdf', 'inline'],
      ['blob', 'application/octet-stream', 'attachment'],
      [MARKUP, 'text/plain; charset=utf-8', 'inline'],
    ] as const) {
      const answer = await stranger.get(raw + encoded(path));
      t.is(answer.status, 200, path);
      t.is(answer.headers.get('content-type'), type, path);
      t.regex(answer.headers.get('content-disposition') as string, new RegExp(`^${disposition}`), path);
      const csp = answer.headers.get('content-security-policy') as string;
      t.regex(csp, /^sandbox[ ;]/, path);
      t.false(csp.includes('allow-same-origin'));
      t.is(csp.includes('allow-scripts'), /html|svg/.test(path), path);
      t.notRegex(csp, /'self'|\*/);
      t.is(answer.headers.get('x-content-type-options'), 'nosniff');
      t.is(answer.headers.get('referrer-policy'), 'no-referrer');
      t.is(answer.headers.get('cross-origin-resource-policy'), 'cross-origin');
      t.is(answer.headers.get('cache-control'), 'private, no-store');
      t.is(answer.headers.get('set-cookie'), null);
    }
    const csp = (await stranger.get(`${raw}report.html`)).headers.get('content-security-policy') as string;
    t.true(csp.includes(`img-src data: blob: ${host}${raw};`), csp);
    const alone = await stranger.call('GET', `${raw}report.html`, undefined, { 'sec-fetch-dest': 'document' });
    t.regex(alone.headers.get('content-disposition') as string, /^attachment/, 'not in a tab of its own');
    const saved = await stranger.get(`${raw}page.txt?download=1`);
    t.regex(saved.headers.get('content-disposition') as string, /^attachment; filename="page.txt"/);
    const part = await stranger.call('GET', `${raw}a/style.css`, undefined, { range: 'bytes=0-3' });
    t.is(part.status, 206);
    t.is(part.body, 'body');
    t.is((await stranger.get(`${raw}a/`)).body, 'index of a', 'as servers of pages do');
  });

  test('an address of evidence is of one package, ends, and is no other', async (t) => {
    const { admin, stranger } = t.context;
    const id = await admin.preserve({ 'f.txt': 'mine' });
    const raw = rawOf(await viewed(admin, id, 'f.txt'));
    t.is((await stranger.get(`${raw}f.txt`)).body, 'mine');
    for (const [path, status] of [
      [`${raw}none.txt`, 404],
      [`${raw}..%2f..%2fx`, 422],
      [`${raw.replace('evidence/', 'evidence/A')}f.txt`, 403],
      ['/ui/evidence/x/f.txt', 403],
      [`/ui/evidence/${raw.split('/')[3]?.split('.')[0]}.${'A'.repeat(43)}/f.txt`, 403],
    ] as const) {
      const answer = await stranger.get(path);
      t.is(answer.status, status, path);
      t.regex(answer.headers.get('content-security-policy') as string, /^sandbox/, 'no answer from here is anybody');
      t.regex(answer.headers.get('content-type') as string, /problem\+json/);
    }
    t.is((await stranger.call('POST', `${raw}f.txt`, {})).status, 405);
    t.is((await stranger.get(`/ui/packages/${id}/files/f.txt`)).status, 302, 'the page is for who is signed in');
    const bob = await clientWith(t.context.service.url, admin, { scopes: ['packages:read'], producers: ['bob'] });
    t.is((await bob.get(`/ui/packages/${id}/files/f.txt`)).status, 404);
  });

  test('a long file is shown page by page, searched, and line by line', async (t) => {
    const { admin } = t.context;
    const id = await preserved(t);
    const first = await viewed(admin, id, 'big.log');
    t.true(first.body.length < 1_000_000, String(first.body.length));
    const next = /<a rel="next" href="([^"]+)">Next page, from line (\d+)/.exec(first.body) as RegExpExecArray;
    const second = await admin.get((next[1] as string).replaceAll('&amp;', '&'));
    t.true(second.body.includes(`id="L${next[2]}"`));
    t.true(second.body.includes(`>line ${next[2]} `));
    t.regex(second.body, /First page/);
    const line = await viewed(admin, id, 'big.log', '?line=25001');
    t.regex(line.body, /id="L25001" href="#L25001">25001<\/a><span class="c">line 25001 an ERROR/);
    const found = await viewed(admin, id, 'big.log', '?q=an+error');
    t.regex(found.body, /30 lines with “an error”, in all of the file/);
    t.true(found.body.includes('<mark>an ERROR</mark>'));
    const hit = /href="([^"]+)#L29001"/.exec(found.body)?.[1]?.replaceAll('&amp;', '&') as string;
    t.regex((await admin.get(hit)).body, /id="L29001"/);
    t.regex((await viewed(admin, id, 'big.log', '?q=%3Cb%3E')).body, /0 lines with “&lt;b&gt;”/);
    for (const odd of ['?at=99999999999', '?line=0', '?line=x', '?at=-1&from=-1', '?at=1e3', '?q=']) {
      t.is((await viewed(admin, id, 'big.log', odd)).status, 200, odd);
    }
  });

  test('a line in which a secret was found is told, and not shown', async (t) => {
    const { admin } = t.context;
    const id = await admin.create();
    await admin.store(id, {
      'env.txt': 'fine\nPASSWORD=hunter2-hunter2\nknown=not-a-secret',
      'data.json': '{"password":"hunter2-hunter2"}',
    });
    const place = { line: 2, kind: 'password', accepted: false };
    const places = [
      { path: 'data.json', line: 1, kind: 'password', accepted: false },
      { path: 'env.txt', ...place },
      { path: 'env.txt', line: 3, kind: 'token', accepted: true },
    ];
    const secrets = { count: 3, accepted: 1, by: { password: 2, token: 1 }, places };
    const finalized = await admin.post(`/v1/packages/${id}/finalize`, { secrets });
    t.is(finalized.status, 200, JSON.stringify(finalized.body));
    const page = (await viewed(admin, id, 'env.txt')).body;
    t.regex(page, /Secrets were found in this file when it was pushed/);
    t.regex(page, /<li>line 2: password, not shown below<\/li>/);
    t.regex(page, /<li>line 3: token, which its producer knows and accepts<\/li>/);
    t.regex(page, /not shown: a secret \(password\)/);
    t.false(page.includes('hunter2'));
    t.true(page.includes('known=not-a-secret'));
    t.false((await viewed(admin, id, 'env.txt', '?q=hunter')).body.includes('hunter2-'));
    t.false((await viewed(admin, id, 'data.json')).body.includes('hunter2'), 'nor in an indented form');
  });

  test('a link shows its package to whoever has it, read-only, until it is revoked or over', async (t) => {
    const { admin, stranger, service } = t.context;
    const id = await preserved(t, { name: 'a <b>run</b>', subject: 's' });
    const made = (await admin.post(`/v1/packages/${id}/shares`, { expires_in: 3_600 })).body;
    const link = made.url.slice(service.url.length);
    const root = await stranger.get(link);
    t.is(root.status, 200);
    t.regex(root.body, /<h1>a &lt;b&gt;run&lt;\/b&gt;<\/h1>/);
    t.notRegex(root.body, /<b>run|<img/);
    for (const [name, value] of [
      ['cache-control', 'no-store'],
      ['referrer-policy', 'no-referrer'],
      ['x-robots-tag', 'noindex, nofollow, noarchive'],
    ] as const) {
      t.is(root.headers.get(name), value);
    }
    for (const [, href] of root.body.matchAll(/<li><a href="([^"]+)"/g))
      t.is((await stranger.get((href as string).replaceAll('&#39;', "'"))).status, 200, href);
    const page = await stranger.get(`${link}/files/report.html`);
    const raw = rawOf(page);
    t.is((await stranger.get(`${raw}report.html`)).status, 200);

    t.is((await admin.call('DELETE', `/v1/shares/${made.id}`)).status, 200);
    const revoked = await stranger.get(link);
    t.is(revoked.status, 404);
    t.is((await stranger.get(`${raw}report.html`)).status, 404, 'its files end with it');
    const mistyped = await stranger.get(`${link.slice(0, -1)}${link.endsWith('0') ? '1' : '0'}`);
    t.is(mistyped.status, 404);
    t.is(withoutRequest(mistyped), withoutRequest(revoked), 'as one that never was');
    const short = (await admin.post(`/v1/packages/${id}/shares`, { expires_in: 1 })).body.url.slice(service.url.length);
    while ((await stranger.get(short)).status === 200);
    t.is(withoutRequest(await stranger.get(short)), withoutRequest(revoked));
    t.is((await stranger.get(`${short}/files/report.html`)).status, 404);
  });

  // First: it moves the time of all.
  test.serial('a link ends with its package, and an address of evidence after ten minutes', async (t) => {
    const { admin, stranger, service } = t.context;
    const id = await admin.preserve({ 'f.txt': 'f' }, { retention_class: 'transient' });
    const made = (await admin.post(`/v1/packages/${id}/shares`, { expires_in: 30 * 86_400 })).body;
    const link = made.url.slice(service.url.length);
    const raw = rawOf(await stranger.get(`${link}/files/f.txt`));
    t.is((await stranger.get(`${raw}f.txt`)).status, 200);
    service.sleepDays(11 / 1_440);
    t.is((await stranger.get(`${raw}f.txt`)).body.code, 'url_expired');
    service.sleepDays(8);
    t.is((await stranger.get(link)).status, 200, 'what is eligible is there until somebody deletes it');
    t.is((await admin.call('DELETE', `/v1/packages/${id}`, { reason: 'expired' })).status, 200);
    t.is((await stranger.get(link)).status, 404);
  });

  test('a link to one file shows that file and no other', async (t) => {
    const { admin, stranger, service } = t.context;
    const id = await preserved(t);
    const made = (await admin.post(`/v1/packages/${id}/shares`, { path: 'page.txt' })).body;
    const link = made.url.slice(service.url.length);
    const root = await stranger.get(link);
    t.true(root.body.includes('&lt;script&gt;'), 'the file itself');
    t.false(root.body.includes('report.html'), 'that there are others is not told');
    t.is((await stranger.get(`${link}/files/page.txt`)).status, 200);
    t.is((await stranger.get(`${link}/files/report.html`)).status, 404);
    const raw = rawOf(root);
    t.is((await stranger.get(`${raw}page.txt`)).status, 200);
    t.is((await stranger.get(`${raw}report.html`)).status, 404);
  });
}

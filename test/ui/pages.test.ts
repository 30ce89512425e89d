import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { DOCUMENTS } from '../../src/core/run-shape.ts';
import { apiOf } from '../support/api.ts';
import { CHROMIUM } from '../support/chromium.ts';
import { required } from '../support/required.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { ADMIN_TOKEN } from '../support/tokens.ts';

/** The pages in a real browser. */
const browser: Browser | null = await required('The pages in a browser', CHROMIUM);

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const AXE_SAYS = `axe.run(document).then(({ violations }) =>
  violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ').slice(0, 300)))`;
const RUN = join(import.meta.dirname, '../../fixtures/guide-board/run-20260513T210255Z');
const HOSTILE = `"><script>self.ran=1</script><img src="https://elsewhere.example/x" onerror="self.ran=1">\u202e`;

interface Seeded {
  service: TestService;
  run: string;
  old: string;
  now: string;
  hostile: string;
}

if (browser !== null) {
  const seeded = seed();
  test.after.always(async () => {
    await browser.close();
    await (await seeded).service.dispose();
  });

  test('signing in, searching, looking at a package, signing out: with JavaScript off, by keyboard', async (t) => {
    const { service, run, now } = await seeded;
    const context = await browser.newContext({ javaScriptEnabled: false, baseURL: service.url });
    t.teardown(() => context.close());
    const page = await context.newPage();
    await page.goto(`/ui/packages/${run}`);
    t.regex(page.url(), /\/ui\/login\?next=/);
    await page.locator('#token:focus').waitFor();
    await page.keyboard.type('nothing like a token');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    await page.locator('#token:focus').waitFor();
    await page.keyboard.type(ADMIN_TOKEN);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'run-20260513T210255Z' }).waitFor();
    t.is(new URL(page.url()).pathname, `/ui/packages/${run}`, 'where it was going');

    await page.keyboard.press('Tab');
    t.is(await page.locator(':focus').textContent(), 'To the content');
    t.true(((await page.locator(':focus').boundingBox())?.x ?? -1) > 0, 'it can be seen');
    await page.keyboard.press('Enter');
    t.is(await page.locator('main:focus').count(), 1);

    await page.getByRole('link', { name: 'Findings, checks and scorecard' }).click();
    await page.getByText('appendContentStream() is not supported.').first().waitFor();
    t.is(await page.getByRole('progressbar').count(), 9, 'the scorecard');
    await page.getByRole('link', { name: 'Files', exact: true }).click();
    await page.getByRole('link', { name: 'normalized/' }).click();
    await page.getByRole('link', { name: 'evidence.json' }).waitFor();
    await page.getByRole('link', { name: 'The whole package' }).click();
    await page.getByRole('link', { name: 'run.json' }).click();
    await page.getByRole('heading', { level: 1, name: 'run.json' }).waitFor();
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download' }).click(),
    ]);
    t.deepEqual(await readFile(await saved.path()), await readFile(join(RUN, 'run.json')));

    await page.getByRole('link', { name: 'Packages' }).first().click();
    await page.getByLabel('Producer').fill('nightly');
    await page.getByRole('button', { name: 'Search' }).click();
    t.is(await page.locator('tbody tr').count(), 2);
    await page.locator('tbody a').first().click();
    t.is(new URL(page.url()).pathname, `/ui/packages/${now}`);
    await page.getByText('1 hold blocks the deletion').waitFor();
    await page.getByRole('link', { name: 'what changed' }).click();
    await page.getByText('1 added, 1 removed, 1 changed, 0 files the same').waitFor();
    await page.getByRole('link', { name: 'History' }).click();
    await page.getByText('hold placed').waitFor();
    await page.getByRole('link', { name: 'Operator' }).click();
    await page.getByText('every object within 30 days').waitFor();

    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await page.goto('/ui');
    t.is(new URL(page.url()).pathname, '/ui/login');
  });

  test('no page breaks the rules of axe-core, in light and dark, nor is wider than a phone; none asks for anything else', async (t) => {
    const { service, run, old, now, hostile } = await seeded;
    const axe = await readFile(AXE, 'utf8');
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, complaints, asked } = await signedIn(t, service, { colorScheme });
      const places = [
        '/ui',
        '/ui?metadata_key=a&metadata_value=b',
        `/ui/packages/${run}`,
        `/ui/packages/${run}/run`,
        `/ui/packages/${run}/files?in=normalized`,
        `/ui/packages/${now}`,
        `/ui/packages/${now}/changes?from=${old}`,
        `/ui/packages/${now}/history`,
        `/ui/packages/${hostile}`,
        '/ui/find?q=run.json',
        '/ui/operator',
        '/ui/packages/pkg_none',
        '/ui/login',
      ];
      for (const place of places) {
        await page.setViewportSize({ width: 1280, height: 900 });
        await page.goto(place);
        await page.evaluate(axe);
        t.deepEqual(await page.evaluate(AXE_SAYS), [], `${place} in ${colorScheme}`);
        t.is(await page.evaluate('[...document.querySelectorAll("h1")].length'), 1, place);
        await page.setViewportSize({ width: 340, height: 700 });
        t.true(((await page.evaluate('document.documentElement.scrollWidth')) as number) <= 340, `${place} on a phone`);
      }
      t.deepEqual(complaints, [], 'nothing was refused by the policy');
      t.deepEqual(
        ['stylesheet', 'script', 'font', 'fetch', 'xhr'].filter((type) => asked.has(type)),
        [],
        'the first paint takes one answer',
      );
    }
  });

  test('names with markup run nothing, and reach nobody', async (t) => {
    const { service, hostile } = await seeded;
    const { page, complaints, hosts } = await signedIn(t, service, {});
    for (const place of [
      '/ui',
      `/ui/packages/${hostile}`,
      `/ui/packages/${hostile}/files`,
      `/ui/packages/${hostile}/history`,
    ]) {
      await page.goto(place);
      t.is(await page.evaluate('self.ran'), undefined, place);
      t.is(await page.locator('main img, main script').count(), 0, place);
    }
    t.true((await page.title()).includes('<script>') || (await page.content()).includes('&lt;script&gt;'));
    t.deepEqual([...hosts], [new URL(service.url).host]);
    t.deepEqual(complaints, []);
  });

  test('a page that is printed has no controls', async (t) => {
    const { service, run } = await seeded;
    const { page } = await signedIn(t, service, {});
    await page.goto(`/ui/packages/${run}`);
    await page.emulateMedia({ media: 'print' });
    t.false(await page.getByText('Sign out').isVisible());
    t.true(await page.getByRole('heading', { level: 1 }).isVisible());
  });
}

/** A page of somebody who is signed in, and what goes wrong there. */
async function signedIn(t: ExecutionContext, service: TestService, options: { colorScheme?: 'light' | 'dark' }) {
  const context: BrowserContext = await (browser as Browser).newContext({ ...options, baseURL: service.url });
  t.teardown(() => context.close());
  const page: Page = await context.newPage();
  const complaints: string[] = [];
  const hosts = new Set<string>();
  const asked = new Set<string>();
  await page.addInitScript(
    `addEventListener('securitypolicyviolation', (event) => console.error('violates ' + event.violatedDirective))`,
  );
  page.on('console', (message) => {
    // An answer that is an error is told, too.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('dialog', (dialog) => complaints.push(dialog.message()));
  page.on('request', (request) => {
    hosts.add(new URL(request.url()).host);
    asked.add(request.resourceType());
  });
  await page.goto('/ui');
  await page.getByLabel('Token').fill(ADMIN_TOKEN);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Packages' }).waitFor();
  return { page, complaints, hosts, asked };
}

async function seed(): Promise<Seeded> {
  const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
  const api = apiOf(service.url, ADMIN_TOKEN);
  const paths = Object.values(DOCUMENTS);
  const files = Object.fromEntries(
    await Promise.all(paths.map(async (path) => [path, await readFile(join(RUN, path))] as const)),
  );
  const run = await api.preserve(files, {
    producer: 'guide-board',
    name: 'run-20260513T210255Z',
    external_id: 'run-20260513T210255Z',
    subject: 'kontextual-cmis-compat',
    metadata: {
      run_id: 'run-20260513T210255Z',
      result_status: 'warning',
      evidence_counts: { pass: 1, warning: 2 },
      finding_counts: { low: 2 },
      score_percent: 48.75,
      source_commits: { 'guide-board': '6f0c1b7a94d3' },
      missing: ['reports/fragments.json'],
    },
  });
  const nightly = { producer: 'nightly', name: 'Nightly build', external_id: 'build-1' };
  const old = await api.preserve({ 'logs/a.log': 'one', 'gone.txt': 'x' }, nightly);
  const now = await api.preserve({ 'logs/a.log': 'two', 'new.txt': 'x' }, { ...nightly, supersedes: old });
  await api.post(`/v1/packages/${now}/holds`, { reason: 'Disputed finding', reference: 'CASE-17' });
  const long = 'x'.repeat(250);
  const hostile = await api.preserve(
    {
      [`${HOSTILE.replaceAll('/', '_').replaceAll('\u202e', '')}/f`]: 'x',
      [`${long}/${long}`]: 'y',
      [`<b>${long.slice(4)}`]: 'z',
    },
    {
      producer: HOSTILE.replaceAll('\u202e', ''),
      name: HOSTILE.replaceAll('\u202e', ''),
      subject: long,
      metadata: { [long]: long, '<i>': HOSTILE },
    },
  );
  return { service, run, old, now, hostile };
}

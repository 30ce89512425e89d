import type { ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { PackageId } from '../../../src/core/ids.ts';
import type { LogicalPath } from '../../../src/core/logical-path.ts';
import { ROUTE_SCOPES, UI_SCOPES } from '../../../src/http/route-scopes.ts';
import { type Api, apiOf } from '../../support/api.ts';
import { folderOf, foldersOf } from '../../support/folders.ts';
import { comparable, cookieOf, get, signIn } from '../../support/pages.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testWith } from '../../support/service-suite.ts';
import { ADMIN_TOKEN, makeToken } from '../../support/tokens.ts';

interface Fixture {
  service: TestService;
  admin: Api;
  /** Of a package of alice. */
  alice: string;
}
const NO_PACKAGE = `pkg_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`;

/** What the pages show, and to whom. */
export function uiSuite(startTestService: StartTestService): void {
  const test = testWith<Fixture>(async () => {
    const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
    const admin = apiOf(service.url, ADMIN_TOKEN);
    const alice = await admin.preserve({ 'a/b.txt': 'evidence', c: 'x' }, { producer: 'alice', name: 'of alice' });
    return { service, admin, alice };
  });

  test('who may not read a package does not learn of it, and the scopes count', async (t) => {
    const { service, admin, alice } = t.context;
    const bob = await session(t, { scopes: ['packages:read', 'audit:read'], producers: ['bob'] });
    const list = await get(service, '/ui', bob);
    t.is(list.status, 200);
    t.false(/of alice|alice/.test(list.text));
    t.regex(list.text, /There are no packages yet/);
    t.regex((await get(service, '/ui?producer=alice', bob)).text, /No package matches/);
    const tails = ['', '/files', '/files?in=a/', '/raw/c', '/manifest', '/attestation', '/run', '/changes', '/history'];
    for (const tail of [...tails, `/changes?from=${alice}`]) {
      const foreign = await get(service, `/ui/packages/${alice}${tail}`, bob);
      const missing = await get(service, `/ui/packages/${NO_PACKAGE}${tail}`, bob);
      t.is(foreign.status, 404, tail);
      t.is(comparable(foreign.text), comparable(missing.text), tail);
    }
    t.is((await get(service, '/ui/operator', bob)).status, 403);
    const auditor = await session(t, { scopes: ['audit:read'] });
    const refused = await get(service, `/ui/packages/${alice}`, auditor);
    t.is(refused.status, 403);
    t.regex(refused.text, /needs a token with the scope packages:read/);
    t.is((await get(service, `/ui/packages/${alice}/history`, auditor)).status, 200);
    const reader = await session(t, { scopes: ['packages:read'] });
    const page = await get(service, `/ui/packages/${alice}`, reader);
    t.false(/History|audit log/.test(page.text), 'nothing of the audit for who may not read it');
    t.is((await get(service, `/ui/packages/${alice}/history`, reader)).status, 403);
    t.is((await get(service, '/ui/operator', await session(t, { scopes: ['operator'] }))).status, 200);
    t.true((await admin.get('/v1/packages')).body.items.length > 0);
  });

  test('every page has the headers that keep it shut, whatever becomes of the request', async (t) => {
    const { service, alice } = t.context;
    const cookie = cookieOf(await signIn(service, { token: ADMIN_TOKEN }));
    const paths = [
      '/ui',
      '/ui/login',
      '/ui/operator',
      `/ui/packages/${alice}`,
      '/ui/nothing',
      '/ui/packages/x',
      '/ui?limit',
    ];
    for (const path of paths) {
      const page = await get(service, path, cookie);
      const policy = page.headers.get('content-security-policy') ?? '';
      t.regex(policy, /^default-src 'none'; style-src 'self' 'sha256-[\w+/]+='; /, path);
      for (const part of ["form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"])
        t.true(policy.includes(part));
      t.false(/script-src|unsafe/.test(policy), path);
      t.is(page.headers.get('cache-control'), 'private, no-store', path);
      t.is(page.headers.get('referrer-policy'), 'same-origin', path);
      t.is(page.headers.get('content-type'), 'text/html; charset=utf-8', path);
      t.false(/<script|<[^>]*\s(?:on\w+|style)=/i.test(page.text), path);
    }
    t.is((await get(service, '/ui/nothing', cookie)).status, 404);
    t.is((await get(service, '/ui/packages/x', cookie)).status, 404);
    const saved = await get(service, `/ui/packages/${alice}/raw/a/b.txt`, cookie);
    t.is(saved.text, 'evidence');
    t.regex(saved.headers.get('content-disposition') as string, /^attachment; filename="b.txt"/);
    t.is(saved.headers.get('content-security-policy'), "sandbox; default-src 'none'");
    t.is(saved.headers.get('x-content-type-options'), 'nosniff');
    const icon = await get(service, '/ui/icon.svg');
    t.is(icon.headers.get('content-type'), 'image/svg+xml');
  });

  test('names with markup are text, wherever they stand', async (t) => {
    const { service, admin } = t.context;
    const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'&lt;\u202e`;
    const path = `</a><svg onload=alert(3)>/${evil.replaceAll('/', '_')}`;
    const id = await admin.preserve(
      { [path]: 'x' },
      {
        producer: evil,
        name: evil,
        subject: evil,
        external_id: evil,
        metadata: { [evil]: evil, deep: { [evil]: [evil] } },
      },
    );
    await admin.post(`/v1/packages/${id}/holds`, { reason: `${evil}\nsecond line`, reference: evil });
    const cookie = cookieOf(await signIn(service, { token: ADMIN_TOKEN }));
    const base = `/ui/packages/${id}`;
    const folder = `${base}/files?in=${encodeURIComponent('</a><svg onload=alert(3)>/')}`;
    const search = `/ui?producer=${encodeURIComponent(evil)}&subject=${encodeURIComponent(evil)}`;
    for (const place of [search, base, `${base}/files`, folder, `${base}/history`, '/ui/operator']) {
      const page = await get(service, place, cookie);
      t.is(page.status, 200, place);
      t.regex(page.text, /&lt;(?:script|svg)/, place);
      t.false(/<script|<img|<svg onload/i.test(page.text), place);
      t.false(page.text.includes('\u202e'), 'nothing turns a line around');
    }
  });

  test('a page of the list is whole, short, and leads on', async (t) => {
    const { service, admin } = t.context;
    // Escaped, it is six times as long.
    const wide = '"'.repeat(200);
    for (let n = 0; n < 51; n++) {
      await admin.create({
        producer: 'many',
        name: `${n} ${wide}`,
        subject: wide,
        external_id: `${n} ${wide.slice(0, 100)}`,
      });
    }
    const cookie = cookieOf(await signIn(service, { token: ADMIN_TOKEN }));
    const first = await get(service, '/ui?producer=many', cookie);
    t.is(rows(first.text), 50);
    t.true(Buffer.byteLength(first.text) < 100_000, `${Buffer.byteLength(first.text)}`);
    const next = /rel="next" href="([^"]+)"/.exec(first.text)?.[1]?.replaceAll('&amp;', '&') as string;
    const second = await get(service, next, cookie);
    t.is(rows(second.text), 1);
    t.notRegex(second.text, /rel="next"/);
    t.is((await get(service, '/ui?cursor=nonsense', cookie)).status, 422);
    t.is((await get(service, '/ui?created_after=yesterday', cookie)).status, 422);
    t.is(rows((await get(service, '/ui?producer=many&created_before=2020-01-01', cookie)).text), 0);
    t.is(
      rows((await get(service, '/ui?producer=many&status=created&created_after=2020-01-01&subject=', cookie)).text),
      50,
    );
  });

  test('filters are those of the API: by metadata, and an id leads to its package', async (t) => {
    const { service, admin } = t.context;
    const id = await admin.create({ producer: 'tests', name: 'sought', metadata: { branch: { name: 'main' } } });
    const cookie = cookieOf(await signIn(service, { token: ADMIN_TOKEN }));
    for (const query of ['metadata.branch.name=main', 'metadata_key=branch.name&metadata_value=main']) {
      const page = await get(service, `/ui?${query}`, cookie);
      t.is(rows(page.text), 1, query);
      t.regex(page.text, /<details open>/);
    }
    t.is((await get(service, `/ui?external_id=${id}`, cookie)).headers.get('location'), `/ui/packages/${id}`);
    t.is((await get(service, '/ui?colour=red', cookie)).status, 422);
  });

  test('a deleted package and a removed file say so', async (t) => {
    const { service, admin } = t.context;
    const fields = { producer: 'alice', retention_class: 'transient', file_rules: [{ path: 'f', days: 0 }] };
    const id = await admin.preserve({ f: 'x', g: 'y' }, fields);
    await admin.post(`/v1/packages/${id}/file-deletions`, { paths: ['f'], reason: 'r' });
    const cookie = cookieOf(await signIn(service, { token: ADMIN_TOKEN }));
    const page = await get(service, `/ui/packages/${id}`, cookie);
    t.regex(page.text, /<s>f<\/s> <span class="badge ">removed<\/span>/);
    t.is((await get(service, `/ui/packages/${id}/raw/f`, cookie)).status, 410);
    const open = await admin.create({ producer: 'alice', name: 'given up' });
    await admin.call('DELETE', `/v1/packages/${open}?reason=mistake`);
    const tombstone = await get(service, `/ui/packages/${open}`, cookie);
    t.is(tombstone.status, 200);
    t.regex(tombstone.text, /It was deleted; what is said of it here is kept/);
    t.is((await get(service, `/ui/packages/${open}/files`, cookie)).status, 410);
    t.is((await get(service, `/ui/packages/${id}/run`, cookie)).status, 404, 'it is no run');
    const failed = await admin.create({ producer: 'alice' });
    await admin.post(`/v1/packages/${failed}/files`, {
      files: [{ path: 'never-sent', digest: `sha256:${'cd'.repeat(32)}`, size: 3 }],
    });
    await admin.post(`/v1/packages/${failed}/fail`, { reason: 'gave up' });
    const given = await get(service, `/ui/packages/${failed}`, cookie);
    t.regex(given.text, /never-sent<\/a> <span class="badge bad">missing/);
    t.regex(given.text, /Reason: gave up/);
  });

  test('what changed between revisions', async (t) => {
    const { service, admin } = t.context;
    const same = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`same/${n}`, `${n}`]));
    const old = await admin.preserve(
      { ...same, 'z/gone': 'x', changed: '1' },
      { producer: 'rev', external_id: 'rev-1' },
    );
    const now = await admin.preserve(
      { ...same, 'a/new': 'x', changed: '22' },
      { producer: 'rev', external_id: 'rev-1', supersedes: old },
    );
    const cookie = cookieOf(await signIn(service, { token: ADMIN_TOKEN }));
    const page = await get(service, `/ui/packages/${now}/changes`, cookie);
    t.regex(page.text, /1 added, 1 removed, 1 changed, 20 files the same/);
    t.deepEqual(
      [...page.text.matchAll(/<tr><td><a href="([^"]+)"/g)].map(([, href]) => href),
      [`/ui/packages/${now}/files/a/new`, `/ui/packages/${now}/files/changed`, `/ui/packages/${old}/files/z/gone`],
    );
    for (const id of [old, now])
      t.regex((await get(service, `/ui/packages/${id}`, cookie)).text, /<h2>Revisions<\/h2>/);
  });

  test('proofs: a signature that is checked, and one that was changed', async (t) => {
    const { service, admin } = t.context;
    const id = await admin.preserve({ f: 'proven' }, { producer: 'alice' });
    await admin.get('/v1/log/checkpoint');
    const cookie = cookieOf(await signIn(service, { token: ADMIN_TOKEN }));
    const page = await get(service, `/ui/packages/${id}`, cookie);
    for (const word of ['signed', 'logged', 'read'])
      t.regex(page.text, new RegExp(`<span class="badge good">${word}<`));
    const { registry } = service.services;
    await registry.transaction((tables) =>
      tables.packages.update(id as PackageId, { manifest_digest: `sha256:${'0'.repeat(64)}` as never }),
    );
    t.regex((await get(service, `/ui/packages/${id}`, cookie)).text, /not as signed/);
  });

  test('a folder lists what stands in it, page by page, as the paths say', async (t) => {
    const { service, admin } = t.context;
    const { registry } = service.services;
    const name = fc
      .string({
        unit: fc.oneof(
          // Dot, slash and nought are neighbours: what is before, in and after a folder of the same beginning.
          { weight: 4, arbitrary: fc.constantFrom('a', '0', '.') },
          fc.constantFrom('-', 'é', '\u{1f4c2}', ' ', '~', '\u{10ffff}'),
        ),
        minLength: 1,
        maxLength: 2,
      })
      .filter((text) => text !== '.' && text !== '..');
    const paths = fc.uniqueArray(
      fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
      { minLength: 1, maxLength: 30 },
    );
    const law = fc.asyncProperty(paths, fc.integer({ min: 1, max: 4 }), async (given, limit) => {
      const files = given.filter((path) => !given.some((other) => other.startsWith(`${path}/`))) as LogicalPath[];
      const id = (await admin.create()) as PackageId;
      const digest = `sha256:${'ab'.repeat(32)}` as never;
      await registry.transaction(({ files: table }) =>
        table.put(
          id,
          files.map((path, size) => ({
            path,
            digest,
            size,
            media_type: 'text/plain',
            mtime: null,
            executable: false,
            proven: false,
          })),
        ),
      );
      const folders = new Set(['', ...files.flatMap((path) => foldersOf(path))]);
      for (const folder of folders) {
        const found = [];
        for (let after: string | null = null; ; ) {
          const page = await registry.read.files.folder(id, folder, after, limit);
          found.push(...page);
          if (page.length < limit) break;
          after = page.at(-1)?.path ?? null;
        }
        t.deepEqual(found, folderOf(files, folder));
      }
    });
    await fc.assert(law, { numRuns: 30 });
  });

  test('no page is called as an operation of the API', (t) => {
    t.deepEqual(
      Object.keys(UI_SCOPES).filter((id) => id in ROUTE_SCOPES),
      [],
    );
  });
}

async function session(t: ExecutionContext<Fixture>, grant: Record<string, unknown>): Promise<string> {
  const { service, admin } = t.context;
  const { token } = await makeToken(admin, grant as never);
  return cookieOf(await signIn(service, { token }));
}

function rows(text: string): number {
  return [...text.matchAll(/<tr><td><a class="strong"/g)].length;
}

import { type Api, apiOf, sha256 } from '../../support/api.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testWith } from '../../support/service-suite.ts';
import { ADMIN_TOKEN, clientWith } from '../../support/tokens.ts';

interface Context {
  service: TestService;
  api: Api;
  bob: Api;
}

/** Which packages have a file, by its digest or by its name. */
export function findFilesSuite(startTestService: StartTestService): void {
  const test = testWith<Context>(async () => {
    const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
    const api = apiOf(service.url, ADMIN_TOKEN);
    const bob = await clientWith(service.url, api, { scopes: ['packages:read', 'packages:write'], producers: ['bob'] });
    return { service, api, bob };
  });

  const found = async (api: Api, query: Record<string, string>) => {
    const answer = await api.get(`/v1/files?${new URLSearchParams(query)}`);
    if (answer.status !== 200) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const places = (body: { items: Array<{ package_id: string; path: string }> }) =>
    body.items.map(({ package_id, path }) => `${package_id} ${path}`);

  test('a file is found by its digest in every package, the oldest first: since when, and whether it is proven', async (t) => {
    const { api } = t.context;
    const digest = sha256('the same evidence');
    const first = await api.preserve({ 'a/report.txt': 'the same evidence', 'a/else': 'x' }, { subject: 's' });
    const second = await api.create();
    await api.store(second, { 'b/copy.txt': 'the same evidence', 'c.txt': 'the same evidence' });
    const body = await found(api, { digest });
    t.deepEqual(places(body), [`${first} a/report.txt`, `${second} b/copy.txt`, `${second} c.txt`]);
    t.is(body.next_cursor, null);
    const pkg = (await api.get(`/v1/packages/${first}`)).body;
    const { checked_at, ...item } = body.items[0];
    t.deepEqual(item, {
      package_id: first,
      package_name: 'a run',
      package_status: 'finalized',
      producer: 'tests',
      subject: 's',
      path: 'a/report.txt',
      digest,
      size: 17,
      since: pkg.finalized_at,
      state: 'stored',
    });
    t.is(checked_at, null, 'nobody has read it since');
    t.is(body.items[1].since, (await api.get(`/v1/packages/${second}`)).body.created_at, 'not finalized yet');
    t.deepEqual((await found(api, { digest: sha256('nobody has it') })).items, []);
  });

  test('after a fixity check it says when the bytes were right last', async (t) => {
    const { api, service } = t.context;
    const id = await api.preserve({ 'checked.txt': 'bytes that are read again' });
    const run = (await api.post('/v1/operations/fixity', { package_id: id })).body;
    for (let state = 'running'; state === 'running'; ) {
      state = (await api.get(`/v1/operations/fixity/${run.id}`)).body.state;
    }
    const [item] = (await found(api, { name: 'checked.txt' })).items;
    t.true(Date.parse(item.checked_at) >= Date.parse(item.since));
    t.is(item.state, 'stored');
    t.truthy(service);
  });

  // First: it moves the time of all.
  test.serial('what was registered only, what was deleted, and what failed', async (t) => {
    const { api, service } = t.context;
    const digest = sha256('never sent');
    const open = await api.create();
    await api.post(`/v1/packages/${open}/files`, { files: [{ path: 'states/x', digest, size: 10 }] });
    t.is((await found(api, { digest })).items[0].state, 'missing');
    await api.post(`/v1/packages/${open}/fail`, { reason: 'gave up' });
    t.like((await found(api, { digest })).items[0], { state: 'missing', package_status: 'failed' });

    const kept = await api.preserve(
      { 'states/gone.log': 'a', 'states/kept.log': 'b' },
      { file_rules: [{ path: '**/gone.log', days: 0 }] },
    );
    t.is(
      (await api.post(`/v1/packages/${kept}/file-deletions`, { paths: ['states/gone.log'], reason: 'r' })).status,
      200,
    );
    t.is((await found(api, { name: 'gone.log' })).items[0].state, 'deleted');
    t.is((await found(api, { name: 'kept.log' })).items[0].state, 'stored');

    const short = await api.preserve({ 'short-lived': 'c' }, { retention_class: 'transient' });
    service.sleepDays(8);
    t.is((await api.call('DELETE', `/v1/packages/${short}`, { reason: 'expired' })).status, 200);
    t.like((await found(api, { name: 'short-lived' })).items[0], { state: 'deleted', package_status: 'deleted' });
    const empty = await api.preserve({ 'states/empty-one': '' });
    t.like((await found(api, { name: 'empty-one' })).items, [{ package_id: empty, state: 'stored', size: 0 }]);
  });

  test('a name is the last segment, exactly, or how it begins', async (t) => {
    const { api } = t.context;
    const names = [
      'names-a.xml',
      'x/names-a.xml',
      'names-a.xml/inner',
      'y/names-b.xml',
      'names',
      'x/Names-a.xml',
      'x/100%_é.txt',
    ];
    const ids: string[] = [];
    for (const path of names) ids.push(await api.preserve({ [path]: path }));
    const at = (...which: number[]) => which.map((n) => `${ids[n]} ${names[n]}`);
    t.deepEqual(places(await found(api, { name: 'names-a.xml' })), at(0, 1));
    t.deepEqual(places(await found(api, { name: 'names-*' })), at(0, 1, 3), 'by the name, then the oldest package');
    t.deepEqual(places(await found(api, { name: 'inner' })), at(2));
    t.deepEqual(places(await found(api, { name: '100%_é.txt' })), at(6), 'no character stands for others');
    t.deepEqual(places(await found(api, { name: '100%_é*' })), at(6));
    t.deepEqual(places(await found(api, { name: 'names-%.xml' })), []);
  });

  test('pages lead from one to the next, whatever is sought', async (t) => {
    const { api, bob } = t.context;
    const expected = [];
    for (let n = 0; n < 3; n += 1) {
      const files = { 'p/pages.bin': 'paged', 'q/pages.bin': 'paged', [`r/pages-${n}`]: 'paged' };
      expected.push(await api.preserve(files, { producer: 'bob' }));
    }
    const walk = async (who: Api, query: Record<string, string>, limit: number) => {
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const body = await found(who, { ...query, limit: String(limit), ...(cursor === '' ? {} : { cursor }) });
        t.true(body.items.length <= limit);
        seen.push(...places(body));
        cursor = body.next_cursor;
      }
      return seen;
    };
    for (const who of [api, bob]) {
      for (const limit of [1, 2, 4, 100]) {
        const byDigest = expected.flatMap((id, n) => [`${id} p/pages.bin`, `${id} q/pages.bin`, `${id} r/pages-${n}`]);
        t.deepEqual(await walk(who, { digest: sha256('paged') }, limit), byDigest);
        const byName = expected.flatMap((id) => [`${id} p/pages.bin`, `${id} q/pages.bin`]);
        t.deepEqual(await walk(who, { name: 'pages.bin' }, limit), byName);
      }
    }
    const begins = [...expected.map((id, n) => `${id} r/pages-${n}`)];
    t.deepEqual((await walk(api, { name: 'pages*' }, 2)).slice(0, 3), begins, 'by their bytes, - is before .');
    const first = await found(api, { name: 'pages.bin', limit: '1' });
    const other = await api.get(`/v1/files?${new URLSearchParams({ name: 'inner', cursor: first.next_cursor })}`);
    t.is(other.body.code, 'invalid_cursor');
  });

  test('what a token may not read does not exist for it', async (t) => {
    const { api, bob } = t.context;
    const digest = sha256('of alice alone');
    await api.preserve({ 'alice-only.txt': 'of alice alone' }, { producer: 'alice' });
    const unknown = (await found(bob, { digest: sha256('nobody has that') })) as unknown;
    t.deepEqual(await found(bob, { digest }), unknown);
    t.deepEqual(await found(bob, { name: 'alice-only.txt' }), unknown);
    const limited = await bob.get('/v1/files?name=alice*');
    t.is(limited.status, 422);
    t.regex(limited.body.detail, /whole names/);
    const own = await bob.create({ producer: 'bob' });
    await bob.post(`/v1/packages/${own}/files`, { files: [{ path: 'claim', digest, size: 14 }] });
    const claimed = (await found(bob, { digest })).items;
    t.like(claimed, [{ package_id: own, state: 'missing', checked_at: null }], 'that others have it is not told');
  });

  test('what cannot be asked', async (t) => {
    const { api } = t.context;
    for (const [query, code] of [
      ['', 'invalid_request'],
      ['name=', 'invalid_request'],
      ['name=a/b', 'invalid_request'],
      ['name=ab*', 'invalid_request'],
      ['name=*', 'invalid_request'],
      [`name=a&digest=${sha256('')}`, 'invalid_request'],
      ['digest=abc', 'invalid_digest'],
      ['name=abc&path=x', 'invalid_request'],
    ] as const) {
      const answer = await api.get(`/v1/files?${query}`);
      t.is(answer.status, 422, query);
      t.is(answer.body.code, code, query);
    }
  });
}

import { apiOf, sha256 } from '../../support/api.ts';
import type { StartTestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

const DAY = 86_400_000;

export function retentionSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  test('the five classes are there, with their days', async (t) => {
    const { items } = (await t.context.api.get('/v1/retention/classes')).body;
    t.deepEqual(Object.fromEntries(items.map((item: { name: string; days: number }) => [item.name, item.days])), {
      transient: 7,
      'raw-evidence': 90,
      'summary-evidence': 365,
      'release-evidence': 1825,
      'permanent-record': null,
    });
    t.deepEqual(
      items.filter((item: { default: boolean }) => item.default).map((item: { name: string }) => item.name),
      ['raw-evidence'],
    );
  });

  test('an unknown class is refused and the known ones are named', async (t) => {
    const answer = await t.context.api.post('/v1/packages', { name: 'n', producer: 'p', retention_class: 'nope' });
    t.is(answer.status, 422);
    t.is(answer.body.code, 'unknown_retention_class');
    t.regex(answer.body.detail, /raw-evidence/);
  });

  test('extensions count from the current expiry, must be later, and are recorded in events and audit', async (t) => {
    const { api } = t.context;
    const id = await api.preserve({ a: 'kept' });
    const before = (await api.get(`/v1/packages/${id}/retention`)).body;
    t.like(before, { class: 'raw-evidence', held: false, eligible: false, reason: 'retention_active' });
    const url = `/v1/packages/${id}/retention/extensions`;
    const days = await api.post(url, { days: 10, reason: 'audit' });
    t.is(days.status, 200);
    t.is(Date.parse(days.body.expires_at), Date.parse(before.expires_at) + 10 * DAY);
    const until = new Date(Date.parse(days.body.expires_at) + DAY).toISOString();
    t.is((await api.post(url, { expires_at: until, reason: 'more' })).body.expires_at, until);
    for (const [body, code] of [
      [{ expires_at: until, reason: 'same' }, 'not_later'],
      [{ expires_at: before.expires_at, reason: 'earlier' }, 'not_later'],
      [{ expires_at: '2001-01-01T00:00:00Z', reason: 'past' }, 'not_later'],
      [{ days: 0, reason: 'none' }, 'invalid_request'],
      [{ days: 1 }, 'invalid_request'],
      [{ days: 1, reason: '  ' }, 'invalid_request'],
      [{ reason: 'neither' }, 'invalid_request'],
      [{ days: 1, expires_at: until, reason: 'both' }, 'invalid_request'],
      [{ expires_at: 'tomorrow', reason: 'words' }, 'invalid_request'],
    ] as const) {
      const answer = await api.post(url, body);
      t.is(answer.status, 422, JSON.stringify(body));
      t.is(answer.body.code, code, JSON.stringify(body));
    }
    const after = (await api.get(`/v1/packages/${id}/retention`)).body;
    t.deepEqual(
      after.events.map((event: { action: string }) => event.action),
      ['set', 'finalized', 'extended', 'extended'],
    );
    t.like(after.events[2], { reason: 'audit', expires_before: before.expires_at, actor: 'local' });
    t.is((await api.get(`/v1/audit?package_id=${id}&action=retention.extended`)).body.items.length, 2);
  });

  test('extending "never" is refused', async (t) => {
    const { api } = t.context;
    const id = await api.preserve({ a: 'kept' }, { retention_class: 'permanent-record' });
    t.is((await api.get(`/v1/packages/${id}`)).body.retention.expires_at, null);
    const answer = await api.post(`/v1/packages/${id}/retention/extensions`, { days: 1, reason: 'x' });
    t.is(answer.status, 422);
    t.is(answer.body.code, 'never_expires');
  });

  test('finalize sets the later of the current expiry and finalized_at + days', async (t) => {
    const service = await startTestService();
    const api = apiOf(service.url);
    const id = await api.create({ retention_class: 'transient' });
    await api.store(id, { a: 'x' });
    const created = (await api.get(`/v1/packages/${id}`)).body;
    service.sleepDays(3);
    const finalized = (await api.post(`/v1/packages/${id}/finalize`)).body;
    t.is(Date.parse(finalized.retention.expires_at), Date.parse(finalized.finalized_at) + 7 * DAY);
    t.true(Date.parse(finalized.retention.expires_at) > Date.parse(created.retention.expires_at));
    const extended = await api.create({ retention_class: 'transient' });
    await api.store(extended, { a: 'x' });
    const { body } = await api.post(`/v1/packages/${extended}/retention/extensions`, { days: 100, reason: 'long' });
    t.is((await api.post(`/v1/packages/${extended}/finalize`)).body.retention.expires_at, body.expires_at);
    await service.dispose();
  });

  test('holds block deletion, of open packages too, until every one is released', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    const first = await api.post(`/v1/packages/${id}/holds`, { reason: 'dispute', reference: 'CASE-1' });
    t.is(first.status, 201);
    const second = await api.post(`/v1/packages/${id}/holds`, { reason: 'audit' });
    const refused = await api.call('DELETE', `/v1/packages/${id}`, { reason: 'x' });
    t.is(refused.status, 409);
    t.is(refused.body.code, 'held');
    t.is(refused.body.holds.length, 2);
    t.like((await api.get(`/v1/packages/${id}/retention`)).body, { held: true, eligible: false, reason: 'held' });
    const release = `/v1/packages/${id}/holds/${first.body.id}/release`;
    t.is((await api.post(release, {})).body.code, 'invalid_request');
    t.like((await api.post(release, { reason: 'settled' })).body, { released_by: 'local', release_reason: 'settled' });
    t.is((await api.post(release, { reason: 'again' })).body.code, 'hold_released');
    t.is((await api.post(`/v1/packages/${id}/holds/hold_nope/release`, { reason: 'x' })).body.code, 'hold_not_found');
    t.is((await api.call('DELETE', `/v1/packages/${id}`, { reason: 'x' })).body.code, 'held');
    await api.post(`/v1/packages/${id}/holds/${second.body.id}/release`, { reason: 'done' });
    t.is((await api.call('DELETE', `/v1/packages/${id}`, { reason: 'x' })).status, 200);
    t.is((await api.post(`/v1/packages/${id}/holds`, { reason: 'late' })).status, 410);
  });

  test('a hold and a deletion that race leave a held package or a deleted one, never both', async (t) => {
    const { api } = t.context;
    for (let n = 0; n < 10; n++) {
      const id = await api.create();
      const [hold, deletion] = await Promise.all([
        api.post(`/v1/packages/${id}/holds`, { reason: 'now' }),
        api.call('DELETE', `/v1/packages/${id}`, { reason: 'now' }),
      ]);
      t.deepEqual([hold.status, deletion.status].toSorted(), hold.status === 201 ? [201, 409] : [200, 410]);
    }
  });

  test('eligible lists expired packages without a hold, soonest first, page by page; nothing is deleted automatically', async (t) => {
    const service = await startTestService();
    const api = apiOf(service.url);
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.push(await api.preserve({ a: 'x' }, { retention_class: 'transient' }));
    await api.preserve({ a: 'x' }, { retention_class: 'permanent-record' });
    const held = await api.preserve({ a: 'x' }, { retention_class: 'transient' });
    await api.post(`/v1/packages/${held}/holds`, { reason: 'keep' });
    t.deepEqual((await api.get('/v1/retention/eligible')).body.items, []);
    service.sleepDays(8);
    const first = (await api.get('/v1/retention/eligible?limit=2')).body;
    const rest = (await api.get(`/v1/retention/eligible?limit=2&cursor=${first.next_cursor}`)).body;
    t.deepEqual(
      [...first.items, ...rest.items].map((item: { package_id: string }) => item.package_id),
      ids,
    );
    t.is(first.items[0].reason, 'expired');
    t.is((await api.get(`/v1/packages/${ids[0]}`)).body.status, 'finalized');
    t.is((await api.get(`/v1/packages/${ids[0]}/files/a`)).body, 'x');
    await service.dispose();
  });

  test('changing a class changes no existing package', async (t) => {
    const { mkdtemp, rm, writeFile } = await import('node:fs/promises');
    const dir = await mkdtemp('/tmp/artifact-store-classes-');
    const file = `${dir}/classes.json`;
    const start = async (classes: object) => {
      await writeFile(file, JSON.stringify(classes));
      const service = await startTestService({
        dataDir: `${dir}/data`,
        env: { ARTIFACT_STORE_RETENTION_CLASSES: file },
      });
      return { service, api: apiOf(service.url) };
    };
    const one = await start({ transient: 1, custom: 2 });
    const id = await one.api.create({ retention_class: 'custom' });
    await one.api.store(id, { a: 'x' });
    const { expires_at } = (await one.api.get(`/v1/packages/${id}`)).body.retention;
    await one.service.stop();
    const two = await start({ transient: 3 });
    t.is((await two.api.get(`/v1/packages/${id}`)).body.retention.expires_at, expires_at);
    const finalized = (await two.api.post(`/v1/packages/${id}/finalize`)).body;
    t.is(
      Date.parse(finalized.retention.expires_at),
      Date.parse(finalized.finalized_at) + 2 * DAY,
      'the days it was made with',
    );
    t.is(
      (await two.api.post('/v1/packages', { name: 'n', producer: 'p', retention_class: 'custom' })).status,
      422,
      'retired',
    );
    await two.service.stop();
    await rm(dir, { recursive: true });
  });

  test('the audit says who changed what, oldest first, by filter and page', async (t) => {
    const { api } = t.context;
    const id = await api.preserve({ a: 'audited' });
    const events = (await api.get(`/v1/audit?package_id=${id}`)).body.items;
    t.deepEqual(
      events.map((event: { action: string }) => event.action),
      [
        'package.created',
        'package.files_registered',
        'upload.planned',
        'upload.committed',
        'package.sealed',
        'package.finalized',
      ],
    );
    t.true(events.every((event: { actor: string; at: string }) => event.actor === 'local' && Date.parse(event.at) > 0));
    const paged: unknown[] = [];
    for (let cursor = ''; ; ) {
      const { body } = await api.get(`/v1/audit?package_id=${id}&limit=2${cursor}`);
      paged.push(...body.items);
      if (body.next_cursor === null) break;
      cursor = `&cursor=${body.next_cursor}`;
    }
    t.deepEqual(paged, events);
    t.deepEqual((await api.get(`/v1/audit?package_id=${id}&after=2999-01-01T00:00:00Z`)).body.items, []);
    t.is((await api.get(`/v1/audit?actor=nobody`)).body.items.length, 0);
  });

  test('a page of long events is shorter, and no event is left out', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    const paths = Array.from({ length: 1_000 }, (_, n) => `${'p'.repeat(250)}/${'q'.repeat(250)}/${n}`);
    for (const content of ['one', 'two', 'three', 'four']) {
      const files = paths.map((path) => ({ path, digest: sha256(content), size: content.length, replace: true }));
      t.is((await api.post(`/v1/packages/${id}/files`, { files })).status, 200);
    }
    const pages: string[][] = [];
    for (let cursor = ''; ; ) {
      const { body } = await api.get(`/v1/audit?package_id=${id}${cursor}`);
      pages.push(body.items.map((event: { action: string }) => event.action));
      if (body.next_cursor === null) break;
      cursor = `&cursor=${body.next_cursor}`;
    }
    t.deepEqual(pages.flat(), ['package.created', ...Array(4).fill('package.files_registered')]);
    t.deepEqual(
      pages.map(({ length }) => length),
      [3, 1, 1],
      'a megabyte each',
    );
  });
}

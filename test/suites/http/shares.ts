import { type Api, apiOf } from '../../support/api.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testWith } from '../../support/service-suite.ts';
import { ADMIN_TOKEN, clientWith } from '../../support/tokens.ts';

interface Context {
  service: TestService;
  admin: Api;
  bob: Api;
}

const NO_SHARE = `shr_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`;

/** Links that show a package, or one file of it, until they end. */
export function sharesSuite(startTestService: StartTestService): void {
  const test = testWith<Context>(async () => {
    const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
    const admin = apiOf(service.url, ADMIN_TOKEN);
    const bob = await clientWith(service.url, admin, { scopes: ['packages:share'], producers: ['bob'] });
    return { service, admin, bob };
  });

  test('a link is shown once; the list and the audit tell everything else of it', async (t) => {
    const { admin, service } = t.context;
    const id = await admin.preserve({ 'a/b.txt': 'x' });
    const made = await admin.post(`/v1/packages/${id}/shares`, {
      path: 'a/b.txt',
      note: 'for the auditor',
      expires_in: 3_600,
    });
    t.is(made.status, 201);
    t.is(made.headers.get('cache-control'), 'no-store');
    const { url, ...shown } = made.body;
    t.true(url.startsWith(`${service.url}/ui/shared/artsh_`));
    t.like(shown, {
      package_id: id,
      path: 'a/b.txt',
      note: 'for the auditor',
      state: 'active',
      created_by: 'admin',
      revoked_at: null,
    });
    t.is(Date.parse(shown.expires_at) - Date.parse(shown.created_at), 3_600_000);
    const listed = (await admin.get(`/v1/packages/${id}/shares`)).body;
    t.deepEqual(listed, { items: [shown], next_cursor: null });
    const audit = (await admin.get(`/v1/audit?package_id=${id}&action=share.created`)).body.items;
    t.like(audit[0], {
      actor: 'admin',
      subject_id: shown.id,
      detail: { path: 'a/b.txt', expires_at: shown.expires_at },
    });
    const secret = url.split('/').at(-1).slice(38, 86);
    t.is(secret.length, 48);
    for (const text of [JSON.stringify(listed), JSON.stringify(audit)]) t.false(text.includes(secret));
  });

  test('it lasts a week if nobody says how long, and no longer than the limit', async (t) => {
    const { admin } = t.context;
    const id = await admin.preserve({ f: 'y' });
    const { created_at, expires_at } = (await admin.post(`/v1/packages/${id}/shares`, {})).body;
    t.is(Date.parse(expires_at) - Date.parse(created_at), 7 * 86_400_000);
    const { share_lifetime_max } = (await admin.get('/v1/limits')).body;
    const most = await admin.post(`/v1/packages/${id}/shares`, { expires_in: share_lifetime_max });
    t.is(most.status, 201);
    for (const [body, code] of [
      [{ expires_in: share_lifetime_max + 1 }, 'share_too_long'],
      [{ expires_at: '2020-01-01T00:00:00Z' }, 'not_later'],
      [{ expires_at: '9999-12-31T00:00:00Z' }, 'share_too_long'],
      [{ expires_at: '2120-01-01T00:00:00Z', expires_in: 1 }, 'invalid_request'],
      [{ path: '../x' }, 'invalid_path'],
    ] as const) {
      const answer = await admin.post(`/v1/packages/${id}/shares`, body);
      t.is(answer.status, 422, JSON.stringify(body));
      t.is(answer.body.code, code);
    }
    t.is((await admin.post(`/v1/packages/${id}/shares`, { path: 'none' })).body.code, 'file_not_found');
    const open = await admin.create();
    t.is((await admin.post(`/v1/packages/${open}/shares`, {})).body.code, 'package_not_finalized');
  });

  test('a revoked share stays in the list; again is the same answer', async (t) => {
    const { admin } = t.context;
    const id = await admin.preserve({ f: 'z' });
    const ids = [];
    for (let n = 0; n < 3; n += 1) ids.unshift((await admin.post(`/v1/packages/${id}/shares`, {})).body.id);
    const revoked = await admin.call('DELETE', `/v1/shares/${ids[1]}?reason=sent%20wrongly`);
    t.like(revoked.body, { id: ids[1], state: 'revoked', revoked_by: 'admin' });
    t.deepEqual((await admin.call('DELETE', `/v1/shares/${ids[1]}`)).body, revoked.body);
    const first = (await admin.get(`/v1/packages/${id}/shares?limit=2`)).body;
    const rest = (await admin.get(`/v1/packages/${id}/shares?limit=2&cursor=${first.next_cursor}`)).body;
    t.deepEqual(
      [...first.items, ...rest.items].map(({ id, state }) => [id, state]),
      [ids[0], ids[1], ids[2]].map((each, n) => [each, n === 1 ? 'revoked' : 'active']),
    );
    const audit = (await admin.get(`/v1/audit?package_id=${id}&action=share.revoked`)).body.items;
    t.is(audit.length, 1);
    t.like(audit[0], { subject_id: ids[1], reason: 'sent wrongly' });
  });

  test('nobody shares what it may not read, or ends what it may not see', async (t) => {
    const { admin, bob } = t.context;
    const ofAlice = await admin.preserve({ f: 'a' }, { producer: 'alice' });
    const share = (await admin.post(`/v1/packages/${ofAlice}/shares`, {})).body.id;
    t.is((await bob.post(`/v1/packages/${ofAlice}/shares`, {})).body.code, 'package_not_found');
    t.is((await bob.get(`/v1/packages/${ofAlice}/shares`)).body.code, 'package_not_found');
    const foreign = await bob.call('DELETE', `/v1/shares/${share}`);
    const none = await bob.call('DELETE', `/v1/shares/${NO_SHARE}`);
    t.is(foreign.status, 404);
    t.is(foreign.body.detail.replace(share, ''), none.body.detail.replace(NO_SHARE, ''));
    t.is((await admin.get(`/v1/packages/${ofAlice}/shares`)).body.items[0].state, 'active');
    const own = await admin.preserve({ f: 'b' }, { producer: 'bob' });
    t.is((await bob.post(`/v1/packages/${own}/shares`, {})).status, 201);
    t.is((await bob.get(`/v1/packages/${own}/files/f`)).status, 403, 'sharing is not reading');
  });
}

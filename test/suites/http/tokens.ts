import { request } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { API_TOKEN } from '../../../src/core/api-token.ts';
import { SCOPES } from '../../../src/core/scopes.ts';
import { type Api, apiOf } from '../../support/api.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { ADMIN_TOKEN, clientWith, makeToken } from '../../support/tokens.ts';

/** The status of a request with another Host header. */
function withHost(url: string, host: string, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { host, authorization: `Bearer ${token}` };
    request(url, { headers }, (answer) => resolve(answer.resume().statusCode ?? 0))
      .once('error', reject)
      .end();
  });
}

/** Asks for a token. @param meanwhile what happens when the service has let the caller in, and waits for the body */
function askSlowly(url: string, bearer: string | undefined, meanwhile: () => Promise<unknown>): Promise<number> {
  const body = JSON.stringify({ name: 'slow', scopes: ['operator'] });
  const authorization = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
  const headers = { 'content-type': 'application/json', 'content-length': body.length, expect: '100-continue' };
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', headers: { ...headers, ...authorization } };
    const sending = request(`${url}/v1/tokens`, options, (answer) => resolve(answer.resume().statusCode ?? 0));
    sending.once('error', reject).once('continue', () => meanwhile().then(() => sending.end(body), reject));
    sending.flushHeaders();
  });
}

export function tokensSuite(startTestService: StartTestService): void {
  async function start(
    t: ExecutionContext,
    admin = true,
  ): Promise<{ service: TestService; admin: Api; stranger: Api }> {
    const service = await startTestService(admin ? { env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } } : {});
    t.teardown(() => service.dispose());
    return { service, admin: apiOf(service.url, admin ? ADMIN_TOKEN : undefined), stranger: apiOf(service.url) };
  }

  test('a token is shown once; lists tell everything else of it', async (t) => {
    const { service, admin } = await start(t);
    const answer = await admin.post('/v1/tokens', {
      name: 'CI',
      description: 'pushes evidence',
      scopes: ['packages:write', 'packages:read', 'packages:read'],
      producers: ['guide-board'],
      expires_in: 3_600,
    });
    t.is(answer.status, 201);
    t.is(answer.headers.get('cache-control'), 'no-store');
    const { token, ...shown } = answer.body;
    t.is(API_TOKEN.idOf(token), shown.id);
    t.like(shown, {
      name: 'CI',
      description: 'pushes evidence',
      scopes: ['packages:write', 'packages:read'],
      producers: ['guide-board'],
      actor: `token:CI:${shown.id}`,
      state: 'active',
      created_by: 'admin',
      last_used_at: null,
      revoked_at: null,
    });
    t.is(Date.parse(shown.expires_at) - Date.parse(shown.created_at), 3_600_000);
    const listed = await admin.get('/v1/tokens');
    t.deepEqual(listed.body, { items: [shown], next_cursor: null });
    const audit = JSON.stringify((await admin.get('/v1/audit')).body);
    for (const text of [JSON.stringify(listed.body), audit]) t.false(text.includes(token.slice(37)), 'the secret');
    t.true(audit.includes('token.created'));
    service.sleepDays(1);
    t.is((await admin.get('/v1/tokens')).body.items[0].state, 'expired');
  });

  test('tokens are listed newest first, page by page', async (t) => {
    const { admin } = await start(t);
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c']) ids.unshift((await makeToken(admin, { name, scopes: ['audit:read'] })).id);
    const first = (await admin.get('/v1/tokens?limit=2')).body;
    const second = (await admin.get(`/v1/tokens?limit=2&cursor=${first.next_cursor}`)).body;
    t.is(second.next_cursor, null);
    t.deepEqual(
      [...first.items, ...second.items].map(({ id }) => id),
      ids,
    );
  });

  test('what no token can be: without a scope, an operator with a limit, over before it begins', async (t) => {
    const { admin } = await start(t);
    const name = 'n';
    for (const [body, code] of [
      [{ name, scopes: [] }, 'invalid_request'],
      [{ name, scopes: ['packages:everything'] }, 'invalid_request'],
      [{ name, scopes: ['packages:read'], producers: [] }, 'invalid_request'],
      [{ name, scopes: ['operator'], producers: ['a'] }, 'invalid_scopes'],
      [{ name, scopes: ['packages:read'], expires_at: '2020-01-01T00:00:00Z' }, 'not_later'],
      [{ name, scopes: ['packages:read'], expires_at: '2120-01-01T00:00:00Z', expires_in: 1 }, 'invalid_request'],
      [{ name: '', scopes: ['packages:read'] }, 'invalid_request'],
    ] as const) {
      const answer = await admin.post('/v1/tokens', body);
      t.is(answer.status, 422, JSON.stringify(body));
      t.is(answer.body.code, code, JSON.stringify(body));
    }
    t.deepEqual((await admin.get('/v1/tokens')).body.items, []);
    t.is((await admin.call('DELETE', '/v1/tokens/tok_none')).body.code, 'token_not_found');
    t.is(
      (await admin.call('DELETE', `/v1/tokens/tok_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`)).status,
      404,
    );
  });

  test('nobody gives a token more than it has itself', async (t) => {
    const { service, admin } = await start(t);
    const operator = await clientWith(service.url, admin, { scopes: ['operator', 'audit:read'] });
    const refused = await operator.post('/v1/tokens', { name: 'n', scopes: ['packages:delete'] });
    t.is(refused.status, 403);
    t.is(refused.body.code, 'forbidden');
    const made = await operator.post('/v1/tokens', { name: 'n', scopes: ['audit:read'], producers: ['a'] });
    t.is(made.status, 201);
    t.regex(made.body.created_by, /^token:a token:tok_/);
  });

  test('a revoked token opens nothing from now on, an expired one from its time on', async (t) => {
    const { service, admin } = await start(t);
    const { id, token } = await makeToken(admin, { scopes: SCOPES.filter((scope) => scope !== 'operator') });
    const farthest = { name: 'far', scopes: ['packages:read'], expires_at: '9999-12-31T23:59:59.999-23:59' };
    const { expires_at } = (await admin.post('/v1/tokens', farthest)).body;
    t.is(expires_at, '9999-12-31T23:59:59.999Z', 'the last time that can be written');
    const { token: short } = await makeToken(admin, { scopes: ['packages:read'], expires_in: 86_400 });
    t.is((await apiOf(service.url, token).get('/v1/packages')).status, 200);
    t.is((await apiOf(service.url, short).get('/v1/packages')).status, 200);
    const revoked = await admin.call('DELETE', `/v1/tokens/${id}?reason=leaked`);
    t.like(revoked, { status: 200, body: { state: 'revoked', revoked_by: 'admin' } });
    t.is((await apiOf(service.url, token).get('/v1/packages')).status, 401);
    t.deepEqual((await admin.call('DELETE', `/v1/tokens/${id}`)).body, revoked.body, 'again: the same answer');
    service.sleepDays(1);
    t.is((await apiOf(service.url, short).get('/v1/packages')).body.code, 'unauthenticated');
    const events = (await admin.get('/v1/audit?action=token.revoked')).body.items;
    t.is(events.length, 1);
    t.like(events[0], { actor: 'admin', subject_id: id, reason: 'leaked', package_id: null });
  });

  test('the actor of every change is the token', async (t) => {
    const { service, admin } = await start(t);
    const { token, actor } = await makeToken(admin, {
      name: 'CI',
      scopes: ['packages:read', 'packages:write', 'retention:write', 'packages:delete'],
      producers: ['tests'],
    });
    const api = apiOf(service.url, token);
    const id = await api.preserve({ f: 'x' });
    const hold = await api.post(`/v1/packages/${id}/holds`, { reason: 'r' });
    await api.post(`/v1/packages/${id}/holds/${hold.body.id}/release`, { reason: 'r' });
    await api.post(`/v1/packages/${id}/retention/extensions`, { days: 1, reason: 'r' });
    service.sleepDays(100);
    t.is((await api.call('DELETE', `/v1/packages/${id}?reason=over`)).status, 200);
    const events = (await admin.get(`/v1/audit?package_id=${id}`)).body.items as Array<{
      actor: string;
      action: string;
    }>;
    t.true(events.length >= 8, JSON.stringify(events.map(({ action }) => action)));
    for (const event of events) t.is(event.actor, actor, event.action);
    const retention = (await admin.get(`/v1/packages/${id}/retention`)).body;
    for (const event of retention.events) t.is(event.actor, actor, event.action);
    t.deepEqual(
      retention.holds.map((each: { placed_by: string; released_by: string }) => [each.placed_by, each.released_by]),
      [[actor, actor]],
    );
  });

  test('the last use is noted, at most once a minute', async (t) => {
    const { service, admin } = await start(t);
    const { token } = await makeToken(admin, { scopes: ['packages:read'] });
    const api = apiOf(service.url, token);
    const usedAt = async (): Promise<string | null> => (await admin.get('/v1/tokens')).body.items[0].last_used_at;
    await Promise.all(Array.from({ length: 5 }, () => api.get('/v1/packages')));
    let first = await usedAt();
    while (first === null) first = await usedAt();
    await api.get('/v1/packages');
    // A write, so that what was begun before it is over on SQLite, and on PostgreSQL most likely.
    await makeToken(admin, { scopes: ['audit:read'] });
    t.is((await admin.get('/v1/tokens')).body.items[1].last_used_at, first);
    service.sleepDays(1);
    await api.get('/v1/packages');
    const later = async () => (await admin.get('/v1/tokens')).body.items[1].last_used_at;
    while ((await later()) === first);
    t.true(Date.parse(await later()) - Date.parse(first) >= 86_400_000);
  });

  test('without an admin token the first token closes the service, also for ever', async (t) => {
    const { service, stranger } = await start(t, false);
    t.is((await stranger.get('/v1/packages')).status, 200);
    t.is(await withHost(`${service.url}/v1/packages`, 'store.example', 'x'), 403);
    const { id, token } = await makeToken(stranger, { scopes: ['operator', 'packages:read'] });
    t.is((await stranger.get('/v1/packages')).body.code, 'unauthenticated');
    t.is((await apiOf(service.url, token).get('/v1/packages')).status, 200);
    t.is(await withHost(`${service.url}/v1/packages`, 'store.example', token), 200, 'other names may lead here now');
    t.is((await apiOf(service.url, token).call('DELETE', `/v1/tokens/${id}`)).status, 200);
    t.is((await stranger.get('/v1/packages')).status, 401, 'that the last one is revoked opens nothing');
    t.is((await stranger.post('/v1/tokens', { name: 'n', scopes: ['operator'] })).status, 401);
  });

  test('whoever holds a body back makes no token with rights that ended meanwhile', async (t) => {
    const { service, stranger } = await start(t, false);
    const first = { name: 'first', scopes: ['operator'] };
    let answer = await stranger.get('/v1/tokens');
    const late = await askSlowly(service.url, undefined, async () => {
      answer = await stranger.post('/v1/tokens', first);
    });
    t.is(late, 401, 'the first token has closed the service');
    const operator = apiOf(service.url, answer.body.token);
    const { id, token } = await makeToken(operator, { scopes: ['operator'] });
    t.is(await askSlowly(service.url, token, async () => {}), 201);
    const revoked = await askSlowly(service.url, token, () => operator.call('DELETE', `/v1/tokens/${id}`));
    t.is(revoked, 401);
    t.is((await operator.get('/v1/tokens')).body.items.length, 3);
  });

  test('a token that expired opens nothing to those without one', async (t) => {
    const { service, stranger } = await start(t, false);
    await makeToken(stranger, { scopes: ['operator'], expires_in: 60 });
    service.sleepDays(1);
    t.is((await stranger.get('/v1/packages')).status, 401);
  });

  test('once there is a token, metrics, docs and what readyz details are for tokens', async (t) => {
    const { service, admin, stranger } = await start(t);
    const pages = ['/metrics', '/docs', '/openapi.json'];
    for (const path of pages) t.is((await stranger.get(path)).status, 200, path);
    t.truthy((await stranger.get('/readyz')).body.registry);
    const reader = await clientWith(service.url, admin, { scopes: ['packages:read'] });
    for (const path of pages) t.is((await stranger.get(path)).status, 401, path);
    t.deepEqual((await stranger.get('/readyz')).body, { status: 'ready', under_way: [] });
    t.is((await stranger.get('/healthz')).status, 200);
    t.deepEqual((await apiOf(service.url, 'wrong').get('/readyz')).body, { status: 'ready', under_way: [] });
    t.truthy((await reader.get('/readyz')).body.blob_store.capabilities);
    t.is((await reader.get('/docs')).status, 200);
    t.is((await reader.get('/openapi.json')).status, 200);
    t.is((await reader.get('/metrics')).body.code, 'forbidden', 'it counts what all producers have');
    const limited = { scopes: ['audit:read' as const], producers: ['tests'] };
    t.is((await (await clientWith(service.url, admin, limited)).get('/metrics')).status, 403);
    const scraper = await clientWith(service.url, admin, { scopes: ['audit:read'] });
    t.is((await scraper.get('/metrics')).status, 200);
    t.is((await admin.get('/metrics')).status, 200);
  });

  test('a host that others can reach is served without an admin token once there is a token', async (t) => {
    const { service, stranger } = await start(t, false);
    const { token } = await makeToken(stranger, { scopes: ['packages:read'] });
    await service.stop();
    const env = { ...service.env, ARTIFACT_STORE_HOST: '0.0.0.0' };
    const again = await startTestService({ env, dataDir: service.dataDir });
    t.teardown(() => again.dispose());
    const url = again.url.replace('0.0.0.0', '127.0.0.1');
    t.is((await apiOf(url).get('/v1/packages')).status, 401);
    t.is((await apiOf(url, token).get('/v1/packages')).status, 200);
  });
}

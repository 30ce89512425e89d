import { request } from 'node:http';
import { json } from 'node:stream/consumers';
import type { ExecutionContext } from 'ava';
import anyTest from 'ava';
import { up } from '../../../migrations/0018_quotas.ts';
import { type Answer, type Api, apiOf, sha256 } from '../../support/api.ts';
import { writeEndlessly } from '../../support/endless.ts';
import { answersIn, openRaw } from '../../support/raw-http.ts';
import { withRegistry } from '../../support/registry-content.ts';
import type { StartTestService, TestService, TestServiceOptions } from '../../support/service.ts';
import { ADMIN_TOKEN, clientWith } from '../../support/tokens.ts';

/** Requests that meet. */
const AT_ONCE = 12;
/** A whole number of packages, files and bytes that fit; each test asks for one more. */
const TEN_BYTES = (n: number): string => `content ${String(n).padStart(2, '0')}`;

/** What one caller, one package and one producer may have. */
export function limitsSuite(startTestService: StartTestService): void {
  const test = anyTest;

  async function start(
    t: ExecutionContext,
    options: TestServiceOptions,
    token?: string,
  ): Promise<{ service: TestService; api: Api }> {
    const service = await startTestService(options);
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url, token) };
  }

  /** Until it is refused. @returns the first answer and the refusal */
  async function untilRefused(ask: () => Promise<Answer>): Promise<[Answer, Answer, number]> {
    const first = await ask();
    for (let asked = 2; asked <= 100; asked += 1) {
      const answer = await ask();
      if (answer.status === 429) return [first, answer, asked];
    }
    throw new Error('nothing was refused');
  }

  function register(api: Api, id: string, contents: Record<string, string>): Promise<Answer> {
    const files = Object.entries(contents).map(([path, text]) => ({
      path,
      digest: sha256(text),
      size: Buffer.byteLength(text),
      replace: true,
    }));
    return api.post(`/v1/packages/${id}/files`, { files });
  }

  /** What producers use is what their packages have. */
  async function assertUsage(t: ExecutionContext, { services }: TestService): Promise<void> {
    const { usage } = services.registry.read;
    t.deepEqual(await usage.list({ all: true }, null, 1_000), await usage.counted());
  }

  test('requests of a caller: what is left stands in every answer; then 429 says when again', async (t) => {
    const { api } = await start(t, { bounds: { callerRequests: 1 } });
    const [first, refused, asked] = await untilRefused(() => api.get('/v1/limits'));
    t.is(first.headers.get('ratelimit-policy'), '"caller";q=10;w=10');
    t.regex(first.headers.get('ratelimit') ?? '', /^"caller";r=9;t=(10|[1-9])$/);
    t.is(asked, 11);
    t.like(refused.body, { code: 'too_many_requests', limit: 'caller_requests_per_second', allowed: 10, window: 10 });
    t.is(refused.headers.get('retry-after'), String(refused.body.retry_after));
    t.true(refused.body.retry_after >= 1 && refused.body.retry_after <= 10);
    t.regex(refused.headers.get('ratelimit') ?? '', /^"caller";r=0;t=\d+$/);
    t.is((await api.get('/healthz')).status, 200, 'whether it lives is told all the same');
    const other = await api.get('/readyz');
    t.is(other.status, 200, 'who has no name is counted apart');
    t.is(other.headers.get('ratelimit-policy'), '"address";q=20000;w=10');
  });

  test('tokens that are none are counted by the address that they come from', async (t) => {
    const token = 'a-token-of-the-limits-suite';
    const options = { env: { ARTIFACT_STORE_ADMIN_TOKEN: token }, bounds: { addressRequests: 1 } };
    const { service, api } = await start(t, options, token);
    const guess = apiOf(service.url, 'another-token-than-that');
    const [first, refused] = await untilRefused(() => guess.get('/v1/limits'));
    t.is(first.status, 401);
    t.is(refused.body.code, 'too_many_requests');
    t.is((await api.get('/v1/limits')).status, 200, 'whoever has the token goes on');
  });

  test('pages are counted, and what a token may not do', async (t) => {
    const env = { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN };
    const { service, api } = await start(t, { env, bounds: { callerRequests: 1, addressRequests: 1 } }, ADMIN_TOKEN);
    const stranger = apiOf(service.url);
    for (const path of ['/openapi.json', '/docs', '/metrics']) {
      const [page, refused] = await untilRefused(() => stranger.get(path));
      t.is(page.headers.get('ratelimit-policy'), '"address";q=10;w=10', path);
      t.is(refused.body.limit, 'address_requests_per_second', path);
    }
    for (const path of ['/v1/audit', '/metrics']) {
      const reader = await clientWith(service.url, api, { scopes: ['packages:read'] });
      const [forbidden, refused] = await untilRefused(() => reader.get(path));
      t.is(forbidden.status, 403, path);
      t.is(refused.body.limit, 'caller_requests_per_second', path);
    }
  });

  test('open packages of a producer: one more is refused until one of them ends', async (t) => {
    const { service, api } = await start(t, { quotas: { open_packages: 3 } });
    const make = (fields: object = {}) => api.post('/v1/packages', { name: 'n', producer: 'p', ...fields });
    const many = await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => make({ external_id: `run-${n}` })));
    const made = many.filter(({ status }) => status === 201);
    t.is(made.length, 3, many.map(({ status }) => status).join());
    const refused = await make();
    t.is(refused.status, 429);
    t.like(refused.body, { code: 'too_many_packages', limit: 'open_packages', allowed: 3, used: 3, asked: 1 });
    t.is(refused.headers.get('retry-after'), String(refused.body.retry_after));
    t.is((await make({ producer: 'another' })).status, 201);
    t.is((await make({ external_id: made[0]?.body.external_id })).status, 200, 'it is there already');

    const [one, two, three] = made.map(({ body }) => body.id as string);
    await api.store(one as string, { a: 'A' });
    t.is((await api.post(`/v1/packages/${one}/finalize`)).status, 200);
    t.is((await make()).status, 201, 'one was finalized');
    t.is((await api.post(`/v1/packages/${two}/fail`, { reason: 'r' })).status, 200);
    t.is((await make()).status, 201, 'one failed');
    t.is((await api.call('DELETE', `/v1/packages/${three}?reason=r`)).status, 200);
    t.is((await make()).status, 201, 'one was deleted');
    t.is((await make()).status, 429);
    await assertUsage(t, service);
  });

  test('files and bytes of a package', async (t) => {
    const { service, api } = await start(t, { quotas: { files_per_package: 3, bytes_per_package: 25 } });
    const id = await api.create();
    const limits = (await api.get('/v1/limits')).body;
    t.like(limits, { files_per_package: 3, bytes_per_package: 25 });
    t.is((await register(api, id, { a: TEN_BYTES(1), b: TEN_BYTES(2) })).status, 200);
    const large = await register(api, id, { c: TEN_BYTES(3) });
    t.is(large.status, 413);
    t.like(large.body, { code: 'package_too_large', limit: 'bytes_per_package', allowed: 25, used: 20, asked: 10 });
    const put = await api.call('PUT', `/v1/packages/${id}/files/c`, TEN_BYTES(3));
    t.is(put.status, 413);
    t.is(put.body.code, 'package_too_large');
    t.is((await register(api, id, { b: TEN_BYTES(4), c: '5 bys' })).status, 200, 'what is replaced is given back');
    const many = await register(api, id, { d: '' });
    t.is(many.status, 413);
    t.like(many.body, { code: 'too_many_files', limit: 'files_per_package', allowed: 3, used: 3, asked: 1 });
    t.is((await api.call('DELETE', `/v1/packages/${id}/files/a`)).status, 204);
    t.is((await register(api, id, { d: TEN_BYTES(5) })).status, 200);
    t.like((await api.get(`/v1/packages/${id}`)).body, { file_count: 3, total_size: 25 });
    await assertUsage(t, service);
  });

  test('open uploads of a package: what is planned already does not count again', async (t) => {
    const { api } = await start(t, { quotas: { uploads_per_package: 2 } });
    const id = await api.create();
    const contents = [1, 2, 3].map(TEN_BYTES);
    await register(api, id, Object.fromEntries(contents.map((text, n) => [`f${n}`, text])));
    const objects = contents.map((text) => ({ digest: sha256(text), size: 10 }));
    const plan = (...nth: number[]) => api.post(`/v1/packages/${id}/uploads`, { objects: nth.map((n) => objects[n]) });
    t.is((await plan(0, 1, 2)).body.code, 'too_many_uploads');
    const planned = await plan(0, 1);
    t.is(planned.status, 200);
    const refused = await plan(2);
    t.is(refused.status, 429);
    t.like(refused.body, { code: 'too_many_uploads', limit: 'uploads_per_package', allowed: 2, used: 2, asked: 1 });
    t.is(refused.headers.get('retry-after'), String(refused.body.retry_after));
    t.deepEqual((await plan(0, 1)).status, 200);
    const [first, second] = planned.body.uploads;
    t.is((await api.call('DELETE', `/v1/uploads/${first.upload_id}`)).status, 200);
    t.is((await plan(2)).status, 200, 'one was aborted');
    t.is((await api.send(second.parts[0], Buffer.from(TEN_BYTES(2)))).status, 200);
    t.is((await api.post(`/v1/uploads/${second.upload_id}/commit`)).status, 200);
    t.is((await plan(0)).status, 200, 'one was committed');
  });

  test('a quota is reserved when files are registered, settled when they are finalized, and given back', async (t) => {
    const quotas = { bytes_per_producer: 30, producers: { large: { bytes: null }, none: { bytes: 0 } } };
    const { service, api } = await start(t, { quotas });
    const of = async (producer: string) => (await api.get(`/v1/quota?producer=${producer}`)).body.items[0];
    const make = (producer: string) => api.create({ producer, retention_class: 'transient' });
    const one = await make('p');
    const two = await make('p');
    t.like(await of('p'), { used_bytes: 0, reserved_bytes: 0, quota_bytes: 30, open_packages: 2 });
    t.is((await register(api, one, { a: TEN_BYTES(1), b: TEN_BYTES(2) })).status, 200);
    const refused = await register(api, two, { c: TEN_BYTES(3), d: TEN_BYTES(4) });
    t.is(refused.status, 507);
    const said = { code: 'quota_exceeded', limit: 'bytes_per_producer', allowed: 30, used: 20, asked: 20 };
    t.like(refused.body, said);
    t.regex(refused.body.detail, /^The producer p may have 30 bytes and has 20, 20 of them in open packages/);
    t.like((await api.get(`/v1/packages/${two}`)).body, { file_count: 0, total_size: 0 }, 'nothing of it');
    t.is((await register(api, two, { c: TEN_BYTES(3) })).status, 200);
    t.like(await of('p'), { used_bytes: 0, reserved_bytes: 30 });
    t.is((await register(api, two, { c: TEN_BYTES(4) })).status, 200, 'in the place of another');

    const put = (id: string, path: string, text: string) => api.call('PUT', `/v1/packages/${id}/files/${path}`, text);
    t.is((await put(two, 'e', 'x')).body.code, 'quota_exceeded');
    t.is((await put(two, 'c?replace=true', TEN_BYTES(5))).status, 201, 'in the place of another');
    await api.store(one, { a: TEN_BYTES(1), b: TEN_BYTES(2) });
    t.is((await api.post(`/v1/packages/${one}/finalize`)).status, 200);
    t.like(await of('p'), { used_bytes: 20, reserved_bytes: 10, open_packages: 1 });
    t.is((await api.call('DELETE', `/v1/packages/${two}/files/c`)).status, 204);
    t.like(await of('p'), { used_bytes: 20, reserved_bytes: 0 });
    t.is((await put(two, 'e', TEN_BYTES(6))).status, 201);
    t.is((await api.post(`/v1/packages/${two}/fail`, { reason: 'r' })).status, 200);
    t.like(await of('p'), { used_bytes: 20, reserved_bytes: 0, open_packages: 0 });
    t.is((await api.call('DELETE', `/v1/packages/${two}?reason=r`)).status, 200, 'it gave its share back before');
    service.sleepDays(8);
    t.is((await api.call('DELETE', `/v1/packages/${one}?reason=r`)).status, 200);
    t.like(await of('p'), { used_bytes: 0, reserved_bytes: 0, open_packages: 0 });

    t.is((await register(api, await make('large'), { a: 'x'.repeat(1_000) })).status, 200);
    t.is((await register(api, await make('none'), { a: 'x' })).body.code, 'quota_exceeded');
    t.is((await register(api, await make('none'), { a: '' })).status, 200);
    t.like(await of('unknown'), { used_bytes: 0, quota_bytes: 30, open_packages: 0 });
    const pages = [(await api.get('/v1/quota?limit=2')).body];
    pages.push((await api.get(`/v1/quota?limit=2&cursor=${pages[0].next_cursor}`)).body);
    const producers = pages.flatMap(({ items }) => items.map((item: { producer: string }) => item.producer));
    t.deepEqual(producers, ['large', 'none', 'p']);
    t.is(pages[1].next_cursor, null);
    await assertUsage(t, service);
  });

  test('a body of unknown length is not taken to its end when it does not fit', async (t) => {
    const options = { quotas: { bytes_per_producer: 10 }, limits: { object_size_max: 64 * 1024 ** 2 } };
    const { service, api } = await start(t, options);
    const id = await api.create();
    const code = await new Promise((resolve, reject) => {
      const sending = request(`${service.url}/v1/packages/${id}/files/f`, { method: 'PUT' }, (answer) =>
        json(answer)
          .then((problem) => resolve((problem as { code: string }).code), reject)
          .finally(() => sending.destroy()),
      );
      // Once it was refused, that the service hears no more of it is no fault.
      sending.on('error', reject);
      void writeEndlessly(sending, Buffer.alloc(1024 ** 2));
    });
    t.is(code, 'quota_exceeded', 'long before it is too large');
    await assertUsage(t, service);
  });

  test('files that rules removed are given back once, and an upgrade counts them so', async (t) => {
    const { service, api } = await start(t, { quotas: { bytes_per_producer: 20 } });
    const fields = { producer: 'p', retention_class: 'transient', file_rules: [{ path: 'raw/**', days: 2 }] };
    const id = await api.preserve({ 'raw/a': TEN_BYTES(1), b: TEN_BYTES(2) }, fields);
    service.sleepDays(3);
    const removed = { paths: ['raw/a'], reason: 'over' };
    for (let times = 0; times < 2; times += 1)
      t.is((await api.post(`/v1/packages/${id}/file-deletions`, removed)).status, 200);
    await assertUsage(t, service);
    await withRegistry(service.env, async (db) => {
      // As an upgrade finds them.
      await db.schema.dropTable('producer_usage');
      await up(db);
    });
    t.like((await api.get('/v1/quota?producer=p')).body.items[0], { used_bytes: 10, reserved_bytes: 0 });
    await assertUsage(t, service);
    t.is((await register(api, await api.create({ producer: 'p' }), { c: TEN_BYTES(3) })).status, 200);
    service.sleepDays(8);
    t.is((await api.call('DELETE', `/v1/packages/${id}?reason=r`)).status, 200);
    t.like((await api.get('/v1/quota?producer=p')).body.items[0], { used_bytes: 0, reserved_bytes: 10 });
    await assertUsage(t, service);
  });

  test('pushes that meet at the border of a quota: never more than fit, and never fewer', async (t) => {
    const { service, api } = await start(t, { quotas: { bytes_per_producer: 50 } });
    const ids = await Promise.all(Array.from({ length: AT_ONCE }, () => api.create({ producer: 'registered' })));
    const answers = await Promise.all(ids.map((id, n) => register(api, id, { f: TEN_BYTES(n) })));
    const statuses = answers.map(({ status }) => status).toSorted();
    t.deepEqual(statuses, [...Array(5).fill(200), ...Array(AT_ONCE - 5).fill(507)]);

    const id = await api.create({ producer: 'put' });
    const put = (n: number) => api.call('PUT', `/v1/packages/${id}/files/f${n}`, TEN_BYTES(n));
    const puts = await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => put(n)));
    const put201 = [...Array(5).fill(201), ...Array(AT_ONCE - 5).fill(507)];
    t.deepEqual(puts.map(({ status }) => status).toSorted(), put201, JSON.stringify(puts.map(({ body }) => body.code)));
    t.deepEqual(await service.services.registry.read.uploads.countUnended(), { open: 0, completing: 0, aborting: 0 });
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    for (const producer of ['registered', 'put']) {
      const { used_bytes, reserved_bytes } = (await api.get(`/v1/quota?producer=${producer}`)).body.items[0];
      t.is(used_bytes + reserved_bytes, 50, producer);
    }
    await assertUsage(t, service);
  });

  test('bodies of one sender at once', async (t) => {
    const { service, api } = await start(t, { bounds: { transfers: 1 } });
    const id = await api.create();
    const { host } = new URL(service.url);
    const { socket, closed } = openRaw(service.url);
    const head = `PUT /v1/packages/${id}/files/slow HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n`;
    socket.write(`${head}Content-Length: 4\r\nExpect: 100-continue\r\n\r\n`);
    // It is asked for its body when it has the place.
    await new Promise((resolve) => socket.once('data', resolve));
    const refused = await api.call('PUT', `/v1/packages/${id}/files/fast`, 'fast');
    t.is(refused.status, 429);
    t.like(refused.body, { code: 'too_many_transfers', limit: 'transfers_at_once', allowed: 1, used: 1 });
    t.is(refused.headers.get('retry-after'), '1');
    t.is((await api.get(`/v1/packages/${id}`)).status, 200, 'of bodies alone');
    socket.write('slow');
    t.deepEqual(
      answersIn(await closed).map(({ status }) => status),
      [100, 201],
    );
    t.is((await api.call('PUT', `/v1/packages/${id}/files/fast`, 'fast')).status, 201);
  });

  test('archives of one caller at once', async (t) => {
    const { service, api } = await start(t, { bounds: { archives: 1 } });
    const id = await api.preserve({ large: Buffer.alloc(32 * 1024 ** 2) });
    const archive = `/v1/packages/${id}/archive`;
    // More than stands in sockets, and nobody reads it.
    const reading = await fetch(`${service.url}${archive}`);
    const refused = await api.get(archive);
    t.is(refused.status, 429);
    t.like(refused.body, { code: 'too_many_transfers', limit: 'archives_at_once', allowed: 1, used: 1 });
    await reading.body?.cancel();
    while ((await api.call('HEAD', archive)).status === 429);
    t.is((await api.call('HEAD', archive)).status, 200);
  });

  test('connections at once: one more is told so, whatever it asks', async (t) => {
    const { service } = await start(t, { bounds: { connections: 3, lingerMs: 200 } });
    const { host } = new URL(service.url);
    const request = `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const open = Array.from({ length: 3 }, () => openRaw(service.url));
    for (const { socket } of open) {
      socket.write(request);
      await new Promise((resolve) => socket.once('data', resolve));
    }
    const beyond = openRaw(service.url);
    beyond.socket.write(request);
    const answers = answersIn(await beyond.closed);
    t.deepEqual(
      answers.map(({ status }) => status),
      [503],
      'and nothing is done for it',
    );
    t.is(answers[0]?.headers['retry-after'], '2');
    t.like(JSON.parse(answers[0]?.body ?? ''), { code: 'unavailable', limit: 'connections', allowed: 3 });
    const [first] = open;
    first?.socket.destroy();
    for (let status = 503; status !== 200; ) {
      const again = openRaw(service.url);
      again.socket.write(request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
      status = answersIn(await again.closed)[0]?.status ?? 503;
    }
    for (const { socket } of open) socket.destroy();
    t.pass('when one of them has gone, another is served');
  });
}

import { request } from 'node:http';
import test from 'ava';
import { loadConfig } from '../../../src/config.ts';
import { startService } from '../../../src/server.ts';
import { apiOf, sha256 } from '../../support/api.ts';
import type { StartTestService } from '../../support/service.ts';

const TOKEN = 'a-token-of-sixteen-or-more';

function raw(
  url: string,
  headers: Record<string, string>,
  method = 'GET',
): Promise<{ status: number; headers: object; body: string }> {
  return new Promise((resolve, reject) => {
    const sending = request(url, { method, headers }, (answer) => {
      let body = '';
      answer.on('data', (chunk) => {
        body += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }));
    });
    sending.on('error', reject);
    sending.end();
  });
}

export function accessSuite(startTestService: StartTestService): void {
  test('with an admin token every /v1 route needs it, but signed URLs do not', async (t) => {
    const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: TOKEN } });
    const stranger = apiOf(service.url);
    const owner = apiOf(service.url, TOKEN);
    const document = (await stranger.get('/openapi.json')).body;
    for (const [path, item] of Object.entries<Record<string, { security: unknown[] }>>(document.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (!path.startsWith('/v1/') || operation.security.length === 0) continue;
        const answer = await stranger.call(method.toUpperCase(), path.replaceAll(/\{\w+\}/g, 'x'));
        t.is(answer.status, 401, `${method} ${path}`);
        t.is(answer.body.code, 'unauthenticated');
        t.is(answer.headers.get('www-authenticate'), 'Bearer');
      }
    }
    for (const wrong of ['nope', `${TOKEN}x`, TOKEN.slice(1), '']) {
      t.is((await apiOf(service.url, wrong).get('/v1/packages')).status, 401);
    }
    t.is((await stranger.call('GET', '/v1/packages', undefined, { authorization: `Basic ${TOKEN}` })).status, 401);
    t.is((await owner.get('/v1/packages')).status, 200);
    for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.json', '/docs'])
      t.is((await stranger.get(path)).status, 200);

    const id = await owner.preserve({ f: 'signed' });
    const [object] = (await owner.post(`/v1/packages/${id}/downloads`, {})).body.objects;
    t.is((await stranger.get(object.url)).body, 'signed');
    const events = (await owner.get(`/v1/audit?package_id=${id}`)).body.items;
    t.true(events.every((event: { actor: string }) => event.actor === 'admin'));
    t.is(
      (await raw(`${service.url}/v1/packages`, { host: 'store.example', authorization: `Bearer ${TOKEN}` })).status,
      200,
    );
    await service.dispose();
  });

  test('without a token foreign Host and Origin headers are refused', async (t) => {
    const service = await startTestService();
    const { port } = new URL(service.url);
    for (const host of [
      'evil.example',
      'evil.example:80',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '10.0.0.1',
    ]) {
      const answer = await raw(`${service.url}/v1/packages`, { host });
      t.is(answer.status, 403, host);
      t.is(JSON.parse(answer.body).code, 'foreign_host');
    }
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) {
      t.is((await raw(`${service.url}/v1/packages`, { host })).status, 200, host);
    }
    for (const origin of ['https://evil.example', 'null', 'http://localhost:1', `https://127.0.0.1:${port}`]) {
      const answer = await raw(`${service.url}/v1/packages`, { origin });
      t.is(answer.status, 403, origin);
      t.is(JSON.parse(answer.body).code, 'foreign_origin');
    }
    t.is((await raw(`${service.url}/v1/packages`, { origin: service.url })).status, 200);
    await service.dispose();
  });

  test('origins that the operator configured may call, and no others are allowed', async (t) => {
    const service = await startTestService({ env: { ARTIFACT_STORE_CORS_ORIGINS: 'https://ui.example' } });
    const preflight = await raw(
      `${service.url}/v1/packages`,
      { origin: 'https://ui.example', 'access-control-request-method': 'POST' },
      'OPTIONS',
    );
    t.is(preflight.status, 204);
    t.like(preflight.headers, { 'access-control-allow-origin': 'https://ui.example' });
    const answer = await raw(`${service.url}/v1/packages`, { origin: 'https://ui.example' });
    t.like(answer.headers, { 'access-control-allow-origin': 'https://ui.example' });
    const other = await raw(`${service.url}/v1/packages`, { origin: 'https://evil.example' });
    t.false('access-control-allow-origin' in other.headers);
    await service.dispose();
  });

  test('without a token the service does not start on an address that others can reach', async (t) => {
    const config = loadConfig({ ARTIFACT_STORE_HOST: '0.0.0.0', ARTIFACT_STORE_PORT: '0' });
    await t.throwsAsync(() => startService(config), { message: /ARTIFACT_STORE_ADMIN_TOKEN/ });
  });

  test('a port in use is reported, with the variable to change', async (t) => {
    const service = await startTestService();
    const { port } = new URL(service.url);
    await t.throwsAsync(() => startTestService({ env: { ARTIFACT_STORE_PORT: port } }), {
      message: new RegExp(`Port ${port} is in use.*ARTIFACT_STORE_PORT`),
    });
    await service.dispose();
  });

  test('a data folder in use is refused, naming who holds it', async (t) => {
    const service = await startTestService();
    await t.throwsAsync(() => startTestService({ dataDir: service.dataDir }), {
      message: new RegExp(`in use.*${process.pid}.*${service.url}`),
    });
    t.is((await apiOf(service.url).get('/healthz')).status, 200, 'the holder goes on');
    await service.dispose();
  });

  test('hostile requests get a problem document that names the mistake', async (t) => {
    const service = await startTestService();
    const api = apiOf(service.url);
    const json = { 'content-type': 'application/json' };
    const nested = (depth: number) =>
      `{"name":"n","producer":"p","metadata":{"a":${'['.repeat(depth)}${']'.repeat(depth)}}}`;
    const deep = nested(50_000);
    for (const [what, answer, status, code] of [
      ['no JSON', await api.call('POST', '/v1/packages', '{"name"', json), 400, 'invalid_json'],
      ['an array', await api.call('POST', '/v1/packages', '[]', json), 422, 'invalid_request'],
      ['no body', await api.call('POST', '/v1/packages'), 422, 'invalid_request'],
      [
        'text',
        await api.call('POST', '/v1/packages', 'x', { 'content-type': 'text/plain' }),
        415,
        'unsupported_media_type',
      ],
      [
        'unknown field',
        await api.post('/v1/packages', { name: 'n', producer: 'p', colour: 1 }),
        422,
        'invalid_request',
      ],
      ['empty name', await api.post('/v1/packages', { name: '', producer: 'p' }), 422, 'invalid_request'],
      [
        'control characters',
        await api.post('/v1/packages', { name: 'a\u0007', producer: 'p' }),
        422,
        'invalid_request',
      ],
      ['deep JSON', await api.call('POST', '/v1/packages', deep, json), 422, 'invalid_request'],
      ['deep metadata', await api.call('POST', '/v1/packages', nested(40), json), 422, 'invalid_metadata'],
      [
        'U+0000',
        await api.post('/v1/packages', { name: 'n', producer: 'p', metadata: { a: '\u0000' } }),
        422,
        'invalid_metadata',
      ],
      [
        'a lone surrogate',
        await api.call('POST', '/v1/packages', '{"name":"n","producer":"p","metadata":{"a":"\\ud800"}}', json),
        422,
        'invalid_metadata',
      ],
      [
        '256 KiB of metadata',
        await api.post('/v1/packages', { name: 'n', producer: 'p', metadata: { a: 'x'.repeat(262_144) } }),
        422,
        'invalid_metadata',
      ],
      [
        'a huge body',
        await api.call('POST', '/v1/packages', `"${'x'.repeat(9 * 1024 ** 2)}"`, json),
        413,
        'body_too_large',
      ],
      ['an id that is none', await api.get('/v1/packages/..%2f..%2fetc'), 404, 'package_not_found'],
      [
        'an unknown package',
        await api.get(`/v1/packages/pkg_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`),
        404,
        'package_not_found',
      ],
      ['an unknown route', await api.get('/v1/nothing'), 404, 'route_not_found'],
      ['an unknown method', await api.call('PUT', '/v1/packages', 'x'), 405, 'method_not_allowed'],
      ['an unknown query field', await api.get('/v1/packages?colour=red'), 422, 'invalid_request'],
      ['a query field twice', await api.get('/v1/packages?producer=a&producer=b'), 422, 'invalid_request'],
      ['a bad limit', await api.get('/v1/packages?limit=1001'), 422, 'invalid_request'],
      ['a bad status', await api.get('/v1/packages?status=odd'), 422, 'invalid_request'],
      [
        'too many files',
        await api.post(`/v1/packages/${await api.create()}/files`, {
          files: Array.from({ length: 1001 }, (_, n) => ({ path: `${n}`, digest: sha256(`${n}`), size: 1 })),
        }),
        422,
        'invalid_request',
      ],
    ] as const) {
      t.is(answer.status, status, what);
      t.is(answer.body.code, code, what);
      t.is(answer.headers.get('content-type')?.split(';')[0], 'application/problem+json', what);
      t.is(answer.headers.get('x-request-id'), answer.body.request_id, what);
    }
    t.deepEqual((await api.get('/v1/packages')).body.items.length, 1, 'only the one that was made on purpose');
    await service.dispose();
  });
}

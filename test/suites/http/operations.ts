import test, { type ExecutionContext } from 'ava';
import { VERSION } from '../../../src/version.ts';
import { apiOf } from '../../support/api.ts';
import { sendRaw } from '../../support/raw-http.ts';
import type { StartTestService, TestService, TestServiceOptions } from '../../support/service.ts';

/** @param kinds what the service says that it runs on */
export function operationsSuite(
  startTestService: StartTestService,
  kinds: { registry: string; blob_store: string },
): void {
  async function start(t: ExecutionContext, options: TestServiceOptions = {}): Promise<TestService> {
    const service = await startTestService(options);
    t.teardown(() => service.dispose());
    return service;
  }

  test('/healthz reports to everybody that the process is alive', async (t) => {
    const { url } = await start(t, { env: { ARTIFACT_STORE_ADMIN_TOKEN: 'a token of sixteen'.replaceAll(' ', '-') } });
    const answer = await apiOf(url).get('/healthz');
    t.is(answer.status, 200);
    t.deepEqual(answer.body, { status: 'ok' });
    t.is((await apiOf(url).get('/v1/healthz')).status, 404, 'it is at the root');
  });

  test('/readyz reports both halves with kind, ok, latency and capabilities', async (t) => {
    const { url } = await start(t);
    const { status, body } = await apiOf(url).get('/readyz');
    t.is(status, 200);
    t.like(body, {
      status: 'ready',
      version: VERSION,
      registry: { kind: kinds.registry, ok: true },
      blob_store: { kind: kinds.blob_store, ok: true, capabilities: { writable: true, part_digest_enforced: true } },
    });
    for (const half of [body.registry, body.blob_store]) t.is(typeof half.latency_ms, 'number');
    t.truthy(body.registry.schema);
    if (kinds.blob_store === 'folder') t.true(body.blob_store.free_bytes > 0);
  });

  test('/metrics has a histogram of requests by operation, and counts received bytes', async (t) => {
    const { url } = await start(t);
    const api = apiOf(url);
    const id = await api.create();
    await api.call('PUT', `/v1/packages/${id}/files/f`, 'twelve bytes');
    await api.get('/v1/packages/pkg_nonsense');
    // An answer is counted once it is sent: ask until it shows.
    const read = async (): Promise<string> => (await api.get('/metrics')).body;
    let text = await read();
    while (!text.includes('operation="getPackage"')) text = await read();
    t.regex((await api.get('/metrics')).headers.get('content-type') ?? '', /^text\/plain; version=/);
    t.regex(text, /^# TYPE artifact_store_request_seconds histogram$/m);
    const count = (operation: string, method: string, status: number) =>
      new RegExp(
        `^artifact_store_request_seconds_count\\{operation="${operation}",method="${method}",status="${status}"\\} 1$`,
        'm',
      );
    t.regex(text, count('createPackage', 'POST', 201));
    t.regex(text, count('putFile', 'PUT', 201));
    t.regex(text, /^artifact_store_request_seconds_count\{operation="getPackage",method="GET",status="4\d\d"\} 1$/m);
    t.regex(text, /^artifact_store_request_seconds_bucket\{le="0.1",operation="createPackage"/m);
    t.regex(text, /^artifact_store_received_bytes_total 12$/m);
    t.regex(text, /^process_cpu_seconds_total/m);
    t.false(text.includes(id), 'no ids: every one would be a series of its own');
  });

  test('bytes that were announced and never came are not counted as received', async (t) => {
    const { url } = await start(t, { bounds: { lingerMs: 100 } });
    const head = `Host: ${new URL(url).host}\r\nContent-Length: ${Number.MAX_SAFE_INTEGER}\r\n\r\n`;
    const [refused] = await sendRaw(url, `PUT /v1/uploads/x/parts/1 HTTP/1.1\r\n${head}`);
    t.is(refused?.status, 422);
    // The connection is closed, so the request was counted.
    t.regex((await apiOf(url).get('/metrics')).body, /^artifact_store_received_bytes_total 0$/m);
  });

  test('/v1/limits lists everything that a client must know, as positive numbers', async (t) => {
    const { url } = await start(t);
    const { status, body } = await apiOf(url).get('/v1/limits');
    t.is(status, 200);
    // api.md: single_part_max, part_size, max_parts, pack_member_max, pack_target, files and objects per call, body sizes.
    for (const name of [
      'single_part_max',
      'part_size',
      'max_parts',
      'pack_member_max',
      'pack_members_max',
      'pack_target',
      'files_per_call',
      'objects_per_call',
      'json_body_max',
      'metadata_max',
      'object_size_max',
      'page_max',
      'url_lifetime',
      'upload_lifetime',
    ])
      t.true(Number.isSafeInteger(body[name]) && body[name] > 0, name);
    t.like(body, { max_parts: 10_000, files_per_call: 1_000, page_max: 1_000, metadata_max: 256 * 1024 });
    t.like(body, { single_part_max: 256 * 1024 ** 2, part_size: 64 * 1024 ** 2 });
  });

  test('every answer has its own X-Request-Id, and a problem has the same one', async (t) => {
    const { url } = await start(t);
    const api = apiOf(url);
    const answers = await Promise.all(
      ['/healthz', '/healthz', '/v1/packages', '/v1/packages/pkg_x', '/nowhere', '/metrics'].map((path) =>
        api.get(path),
      ),
    );
    const ids = answers.map(({ headers }) => headers.get('x-request-id') ?? '');
    for (const id of ids) t.regex(id, /^[0-9a-f-]{36}$/);
    t.is(new Set(ids).size, ids.length);
    for (const [index, { status, body }] of answers.entries()) if (status >= 400) t.is(body.request_id, ids[index]);
    const forged = await api.call('GET', '/healthz', undefined, { 'x-request-id': 'mine' });
    t.not(forged.headers.get('x-request-id'), 'mine', 'a client cannot choose what stands in the log');
  });
}

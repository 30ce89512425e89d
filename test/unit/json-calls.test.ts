import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { Connections } from '../../cli/client/api/connections.ts';
import { JsonCalls } from '../../cli/client/api/json-calls.ts';
import { RetryNotes } from '../../cli/client/api/retry.ts';

test('each JSON body is sent with its length, that of a DELETE too; what has no body is sent without', async (t) => {
  const asked: object[] = [];
  const server = createServer(async (request, response) => {
    const { method, headers } = request;
    const { 'content-length': length, 'content-type': type, 'transfer-encoding': transfer, authorization } = headers;
    asked.push({ method, length, type, transfer, authorization, body: await text(request) });
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const calls = new JsonCalls({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bearer: async () => 'secret',
    signal: new AbortController().signal,
    userAgent: 'tests',
    connections: new Connections(),
    notes: new RetryNotes(() => {}),
  });
  t.teardown(() => calls.close());
  const body = { reason: 'übrig' };
  for (const method of ['POST', 'DELETE'] as const) await calls.ask({ method, path: '/v1', body }, async () => {});
  for (const method of ['GET', 'POST', 'DELETE'] as const) await calls.ask({ method, path: '/v1' }, async () => {});
  const json = JSON.stringify(body);
  const common = { transfer: undefined, authorization: 'Bearer secret' };
  const full = { ...common, length: String(Buffer.byteLength(json)), type: 'application/json', body: json };
  const empty = { ...common, type: undefined, body: '' };
  t.deepEqual(asked.slice(0, 2), [
    { method: 'POST', ...full },
    { method: 'DELETE', ...full },
  ]);
  for (const [index, method] of ['GET', 'POST', 'DELETE'].entries()) t.like(asked[index + 2], { method, ...empty });
});

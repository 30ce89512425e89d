import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { get } from 'node:http';
import { Readable } from 'node:stream';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import test, { type ExecutionContext } from 'ava';
import { Connections } from '../../cli/client/api/connections.ts';
import { DEFAULT_BOUNDS } from '../../src/http/bounds.ts';
import { apiOf, sha256 } from '../support/api.ts';
import type { HalfSender } from '../support/half-sender.ts';
import { answersIn, openRaw } from '../support/raw-http.ts';
import { recordingFileLayer } from '../support/recording-file-layer.ts';
import { startTestService, type TestService, type TestServiceOptions } from '../support/service.ts';
import { serviceSockets } from '../support/service-sockets.ts';
import { ADMIN_TOKEN, makeToken } from '../support/tokens.ts';

/** How long the service waits for clients: each waits here until it is told that it took too long. */
async function start(t: ExecutionContext, options: TestServiceOptions): Promise<TestService> {
  const service = await startTestService(options);
  t.teardown(() => service.dispose());
  return service;
}

test('a connection that sends no request is closed', async (t) => {
  const { url } = await start(t, { bounds: { headersMs: 200 } });
  const connections = Array.from({ length: 50 }, () => openRaw(url));
  for (const { closed } of connections) t.is(await closed, '', 'without an answer');
});

test('headers that do not end are answered with 408', async (t) => {
  // Long enough for what is sent at once to be read.
  const { url } = await start(t, { bounds: { headersMs: 2_000 } });
  const { host } = new URL(url);
  const first = openRaw(url);
  first.socket.write(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\nX-`);
  const second = openRaw(url);
  second.socket.write(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\nGET /healthz HTTP/1.1\r\n`);
  const statuses = async (closed: Promise<string>) => answersIn(await closed).map(({ status }) => status);
  t.deepEqual(await statuses(first.closed), [408]);
  t.deepEqual(await statuses(second.closed), [200, 408]);
  const [answer] = answersIn(await first.closed);
  t.is(JSON.parse(answer?.body ?? '').code, 'request_timeout');
});

test('an idle connection is closed, after the command line has stopped using it', async (t) => {
  const { url } = await start(t, { bounds: { keepAliveMs: 200 } });
  const { socket, closed } = openRaw(url);
  socket.write(`GET /healthz HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`);
  t.is(answersIn(await closed)[0]?.status, 200);

  const usual = await start(t, {});
  const pool = new Connections().pool(1);
  t.teardown(() => pool.close());
  const agents = pool.agentsFor(usual.url);
  await new Promise<void>((resolve) => {
    get(`${usual.url}/healthz`, { agent: agents.http }, (answer) => answer.resume().once('end', resolve));
  });
  while (Object.keys(agents.http.freeSockets).length === 0) await nextTurn();
  const [kept] = Object.values(agents.http.freeSockets).flat();
  t.true((kept?.timeout ?? Number.POSITIVE_INFINITY) < DEFAULT_BOUNDS.keepAliveMs);
});

const PUT_FILE = 'PUT /v1/packages/ID/files/f HTTP/1.1\r\n';
const REGISTER = 'POST /v1/packages/ID/files HTTP/1.1\r\nContent-Type: application/json\r\n';
for (const [what, bounds, head] of [
  ['bytes', { bytesPatienceMs: 300 }, PUT_FILE],
  ['JSON', { jsonPatienceMs: 300 }, REGISTER],
] as const) {
  for (const [how, length] of [
    ['of known length', 'Content-Length: 50000'],
    ['in chunks', 'Transfer-Encoding: chunked'],
  ] as const) {
    test(`a body of ${what} ${how} that comes a byte at a time is answered with 408`, async (t) => {
      const { url } = await start(t, { bounds: { ...bounds, lingerMs: 200 } });
      const id = await apiOf(url).create();
      const { socket, closed } = openRaw(url);
      socket.write(`${head.replace('ID', id)}Host: ${new URL(url).host}\r\n${length}\r\n\r\n`);
      const drip = setInterval(() => socket.write(length.startsWith('C') ? ' ' : '1\r\n \r\n'), 20);
      t.teardown(() => clearInterval(drip));
      const [answer] = answersIn(await closed);
      t.is(answer?.status, 408);
      t.is(answer?.headers.connection, 'close');
      t.is(JSON.parse(answer?.body ?? '').code, 'request_timeout');
      t.is((await apiOf(url).get(`/v1/packages/${id}`)).body.file_count, 0);
    });
  }
}

test('a sender is not cut off while storage is slow', async (t) => {
  const patience = 1_000;
  let held: Promise<void> | null = null;
  const { files } = recordingFileLayer(async (effect) => {
    if (effect.name !== 'write' || !effect.path.includes('/spool/')) return;
    held ??= sleep(3 * patience);
    await held;
  });
  const { url } = await start(t, { files, bounds: { bytesPatienceMs: patience } });
  const api = apiOf(url);
  const id = await api.create();
  // More than lies in sockets and buffers: the sender has to wait too.
  const bytes = randomBytes(24 * 1024 ** 2);
  t.is((await api.call('PUT', `/v1/packages/${id}/files/f`, bytes)).status, 201);
  t.not(held, null);
});

test('a sender is not cut off because the service itself was blocked', async (t) => {
  const patience = 1_500;
  let isReading = false;
  const { files } = recordingFileLayer((effect) => {
    isReading ||= effect.name === 'create' && effect.path.includes('/spool/');
  });
  const { url } = await start(t, { files, bounds: { bytesPatienceMs: patience } });
  const id = await apiOf(url).create();
  const { host, port } = new URL(url);
  const first = `${PUT_FILE.replace('ID', id)}Host: ${host}\r\nConnection: close\r\nContent-Length: 10\r\n\r\nfirst`;
  const flags = new Int32Array(new SharedArrayBuffer(8));
  const workerData: HalfSender = { port: Number(port), first, second: 'later', flags };
  const sender = new Worker(new URL('../support/half-sender.ts', import.meta.url), { workerData });
  t.teardown(() => sender.terminate());
  while (!isReading) await nextTurn();
  await sleep(50);
  // After such a turn the loop looks at its timers first.
  await nextTurn();
  // Until the rest lies in the socket, and patience has run out: nothing else happens in this thread meanwhile.
  Atomics.store(flags, 0, 1);
  Atomics.notify(flags, 0);
  Atomics.wait(flags, 1, 0);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * patience);
  const [came] = await once(sender, 'message');
  t.is(answersIn(came)[0]?.status, 201);
});

test('an answer that the client does not read is ended', async (t) => {
  const { url } = await start(t, { bounds: { answerIdleMs: 300 } });
  const api = apiOf(url);
  const id = await api.create();
  await api.call('PUT', `/v1/packages/${id}/files/f`, randomBytes(32 * 1024 ** 2));
  const sockets = serviceSockets(t, url);
  get(`${url}/v1/packages/${id}/files/f`, { agent: false }, (answer) => answer.pause().on('error', () => {}));
  while (sockets.length === 0) await nextTurn();
  if (!sockets[0]?.closed) await once(sockets[0] as (typeof sockets)[0], 'close');
  t.pass('the service has closed the connection');
});

test('an answer is not ended while storage is slow', async (t) => {
  const idle = 200;
  const { url, services } = await start(t, { bounds: { answerIdleMs: idle } });
  const api = apiOf(url);
  const bytes = randomBytes(3 * 1024 ** 2);
  const id = await api.preserve({ f: bytes });
  const { objects } = services.blobs;
  const { open } = objects;
  objects.open = async (...args) => {
    const stream = await open.apply(objects, args);
    const slowly = async function* () {
      for await (const chunk of stream) {
        yield chunk;
        // Nothing waits for the client meanwhile.
        await sleep(idle);
      }
    };
    return Readable.from(slowly());
  };
  const answer = await fetch(`${url}/v1/packages/${id}/files/f`);
  t.is(sha256(Buffer.from(await answer.arrayBuffer())), sha256(bytes));
});

test('JSON bodies of all connections together are bounded, and every share is given back', async (t) => {
  const { url } = await start(t, { bounds: { jsonInFlight: 100_000, lingerMs: 200 } });
  const api = apiOf(url);
  const id = await api.create();
  const { host } = new URL(url);
  const head = `${REGISTER.replace('ID', id)}Host: ${host}\r\nContent-Length: 200000\r\n\r\n`;
  const connections = [openRaw(url), openRaw(url)];
  for (const { socket } of connections) socket.write(head + ' '.repeat(60_000));
  const [answer] = answersIn(await Promise.race(connections.map(({ closed }) => closed)));
  t.is(answer?.status, 503);
  t.is(answer?.headers['retry-after'], '2');
  t.is(answer?.headers.connection, 'close');
  t.is(JSON.parse(answer?.body ?? '').code, 'unavailable');
  for (const { socket } of connections) socket.destroy();
  const send = () =>
    api.call('POST', `/v1/packages/${id}/files`, ' '.repeat(90_000), { 'content-type': 'application/json' });
  let status = (await send()).status;
  // Until the service has seen that both are gone.
  while (status === 503) status = (await send()).status;
  t.is(status, 400, 'no JSON');
  for (let n = 0; n < 5; n += 1) t.is((await send()).status, 400, 'what fails gives its share back too');
});

test('slow JSON bodies of one sender leave room for those of others', async (t) => {
  const env = { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN };
  const { url } = await start(t, { env, bounds: { jsonInFlight: 100_000, lingerMs: 200 } });
  const admin = apiOf(url, ADMIN_TOKEN);
  const { token } = await makeToken(admin, { scopes: ['packages:write'] });
  const id = await admin.create();
  const { host } = new URL(url);
  const from = `Authorization: Bearer ${token}\r\nHost: ${host}\r\nContent-Length: 200000\r\n\r\n`;
  const connections = Array.from({ length: 4 }, () => openRaw(url));
  for (const { socket } of connections) socket.write(REGISTER.replace('ID', id) + from + ' '.repeat(30_000));
  const [answer] = answersIn(await Promise.race(connections.map(({ closed }) => closed)));
  t.is(answer?.status, 503);
  const json = { 'content-type': 'application/json' };
  const other = await admin.call('POST', `/v1/packages/${id}/files`, ' '.repeat(45_000), json);
  t.is(other.status, 400, 'no JSON, but it was read');
  for (const { socket } of connections) socket.destroy();
});

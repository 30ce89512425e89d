import { once } from 'node:events';
import { request } from 'node:http';
import { Readable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import got from 'got';
import { apiOf } from '../support/api.ts';
import { answersIn, openRaw } from '../support/raw-http.ts';
import { startTestService, type TestService, type TestServiceOptions } from '../support/service.ts';
import { serviceSockets } from '../support/service-sockets.ts';

/** Bodies that nobody may send are not read. */
const TOKEN = 'a-token-of-sixteen-or-more';
const HUGE = 4 * 1024 ** 3;
/** What of such a body may pass: what is taken so that the client sees the answer, and what lies in buffers. */
const MOST_READ = 512 * 1024;
const CHUNK = Buffer.alloc(256 * 1024, 'x');

async function start(t: ExecutionContext, options: TestServiceOptions = {}): Promise<TestService> {
  const service = await startTestService({ bounds: { lingerMs: 500 }, ...options });
  t.teardown(() => service.dispose());
  return service;
}

/** Says the head, then sends as much as it is let. @returns what was answered, and how much the service has read */
async function pour(t: ExecutionContext, url: string, head: string): Promise<{ answers: string; read: number }> {
  const sockets = serviceSockets(t, url);
  const { socket, closed } = openRaw(url);
  socket.write(head);
  const more = (): void => {
    while (!socket.destroyed && socket.write(CHUNK));
  };
  socket.on('drain', more);
  more();
  const answers = await closed;
  return { answers, read: sockets[0]?.bytesRead ?? Number.POSITIVE_INFINITY };
}

const JSON_TYPE = 'Content-Type: application/json\r\n';
const BEARER = `Authorization: Bearer ${TOKEN}\r\n`;
const NOWHERE = 'pkg_00000000000070008000000000000000';
for (const [what, line, headers, status] of [
  ['a PUT without a token', 'PUT /v1/packages/ID/files/f', '', 401],
  ['a POST without a token', 'POST /v1/packages', JSON_TYPE, 401],
  ['a POST with a wrong token', 'POST /v1/packages', `${JSON_TYPE}Authorization: Bearer ${TOKEN}x\r\n`, 401],
  ['a part that nobody signed', 'PUT /v1/uploads/upl_x/parts/1?expires=1&signature=x', '', 404],
  ['a file of no package', `PUT /v1/packages/${NOWHERE}/files/f`, BEARER, 404],
  ['a path that is none', 'PUT /v1/packages/ID/files/a/../b', BEARER, 422],
  ['an encoded file', 'PUT /v1/packages/ID/files/f', `${BEARER}Content-Encoding: gzip\r\n`, 415],
  ['a GET with a body', 'GET /v1/packages/ID', BEARER, 415],
  ['an address that is none', 'PUT /nowhere', '', 404],
  ['a method that is none', 'PUT /v1/packages', BEARER, 405],
  ['a query that is wrong', 'POST /v1/packages?colour=red', BEARER + JSON_TYPE, 422],
  ['JSON that is too large', 'POST /v1/packages', BEARER + JSON_TYPE, 413],
  ['JSON of another type', 'POST /v1/packages', `${BEARER}Content-Type: text/plain\r\n`, 415],
] as const) {
  test(`a body of 4 GB is answered and left unread: ${what}`, async (t) => {
    const { url } = await start(t, { env: { ARTIFACT_STORE_ADMIN_TOKEN: TOKEN } });
    const id = await apiOf(url, TOKEN).create();
    const head = `${line.replace('ID', id)} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n${headers}Content-Length: ${HUGE}\r\n\r\n`;
    const { answers, read } = await pour(t, url, head);
    const [answer, ...others] = answersIn(answers);
    t.is(answer?.status, status);
    t.is(answer?.headers.connection, 'close');
    t.deepEqual(others, []);
    t.true(read < MOST_READ, `${read} bytes were read`);
    t.log(`${read} bytes were read`);
  });
}

test('a body of 4 GB is answered and left unread: a foreign Host, without a token', async (t) => {
  const { url } = await start(t);
  const { answers, read } = await pour(
    t,
    url,
    `PUT /v1/packages HTTP/1.1\r\nHost: x.example\r\nContent-Length: ${HUGE}\r\n\r\n`,
  );
  t.is(answersIn(answers)[0]?.status, 403);
  t.true(read < MOST_READ, `${read} bytes were read`);
});

test('chunked JSON is read no further than the limit of its call', async (t) => {
  const { url } = await start(t);
  const head = `POST /v1/packages HTTP/1.1\r\nHost: ${new URL(url).host}\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n`;
  const { answers, read } = await pour(t, url, `${head}${HUGE.toString(16)}\r\n`);
  t.is(answersIn(answers)[0]?.status, 413);
  t.true(read < 1024 ** 2 + MOST_READ, `${read} bytes were read`);
});

test('JSON in one packet is also limited by its call', async (t) => {
  const { url } = await start(t);
  const api = apiOf(url);
  const id = await api.create();
  const text = JSON.stringify({ reason: 'x'.repeat(40_000) });
  const head = `POST /v1/packages/${id}/fail HTTP/1.1\r\nHost: ${new URL(url).host}\r\n${JSON_TYPE}`;
  const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
  const whole = `${head}Content-Length: ${text.length}\r\n\r\n${text}`;
  for (const bytes of [chunked, whole]) {
    const { socket, closed } = openRaw(url);
    socket.write(bytes);
    await once(socket, 'data');
    socket.end();
    const [answer] = answersIn(await closed);
    t.is(answer?.status, 413);
    t.is(JSON.parse(answer?.body ?? '').code, 'body_too_large');
  }
});

test('common clients see why their body is refused', async (t) => {
  const { url } = await start(t, { env: { ARTIFACT_STORE_ADMIN_TOKEN: TOKEN } });
  const target = `${url}/v1/packages/${NOWHERE}/files/f`;
  const body = () =>
    Readable.from(
      (function* () {
        for (let n = 0; n < 400; n += 1) yield CHUNK;
      })(),
    );
  for (let n = 0; n < 5; n += 1) {
    const byFetch = await fetch(target, {
      method: 'PUT',
      body: Readable.toWeb(body()) as ReadableStream,
      duplex: 'half',
    } as RequestInit);
    t.is(byFetch.status, 401, 'fetch');
    t.is(((await byFetch.json()) as { code: string }).code, 'unauthenticated');
    const byGot = await got.put(target, { body: body(), throwHttpErrors: false, retry: { limit: 0 } });
    t.is(byGot.statusCode, 401, 'got');
    const sending = request(target, { method: 'PUT' });
    const [answer] = await Promise.all([
      once(sending, 'response').then(([response]) => response),
      Promise.resolve(body().pipe(sending)),
    ]);
    t.is(answer.statusCode, 401, 'http');
    sending.on('error', () => {}).destroy();
  }
});

test('100 Continue is sent only when the body will be read', async (t) => {
  const { url } = await start(t, { env: { ARTIFACT_STORE_ADMIN_TOKEN: TOKEN } });
  const id = await apiOf(url, TOKEN).create();
  const ask = (path: string, headers: string) => {
    const connection = openRaw(url);
    connection.socket.write(
      `PUT ${path} HTTP/1.1\r\nHost: ${new URL(url).host}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n${headers}\r\n`,
    );
    return connection;
  };
  for (const [path, headers, status] of [
    [`/v1/packages/${id}/files/f`, '', 401],
    [`/v1/packages/${NOWHERE}/files/f`, BEARER, 404],
    [`/v1/packages/${id}/files/f`, `${BEARER}Content-Encoding: br\r\n`, 415],
  ] as const) {
    const answers = answersIn(await ask(path, headers).closed);
    t.deepEqual(
      answers.map((answer) => answer.status),
      [status],
    );
  }
  const { socket, closed } = ask(`/v1/packages/${id}/files/f`, `${BEARER}Connection: close\r\n`);
  await once(socket, 'data');
  socket.write('hello');
  t.deepEqual(
    answersIn(await closed).map(({ status }) => status),
    [100, 201],
  );
});

test('a refused body that has arrived already does not close the connection', async (t) => {
  const { url } = await start(t, { env: { ARTIFACT_STORE_ADMIN_TOKEN: TOKEN } });
  const { socket, closed } = openRaw(url);
  const { host } = new URL(url);
  socket.write(`POST /v1/packages HTTP/1.1\r\nHost: ${host}\r\n${JSON_TYPE}Content-Length: 2\r\n\r\n{}`);
  await once(socket, 'data');
  socket.write(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  t.deepEqual(
    answersIn(await closed).map(({ status }) => status),
    [401, 200],
  );
});

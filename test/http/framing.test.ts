import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { apiOf } from '../support/api.ts';
import { type RawAnswer, sendRaw } from '../support/raw-http.ts';
import { startTestService, type TestService } from '../support/service.ts';

/** Bytes on the wire that no HTTP library sends: what the parser refuses, and what two readers could understand differently. */
const test = anyTest as TestFn<{ service: TestService }>;
const TOKEN = 'a-token-of-sixteen-or-more';

test.before(async (t) => {
  t.context = { service: await startTestService({ bounds: { lingerMs: 200 } }) };
});
test.after.always((t) => t.context.service?.dispose());

function assertProblem(t: ExecutionContext, answer: RawAnswer | undefined, status: number, code: string): void {
  t.is(answer?.status, status);
  t.is(answer?.headers['content-type'], 'application/problem+json');
  t.is(answer?.headers.connection, 'close');
  const problem = JSON.parse(answer?.body ?? '');
  t.like(problem, { status, code });
  t.regex(problem.request_id, /^[0-9a-f-]{36}$/);
  t.is(problem.request_id, answer?.headers['x-request-id']);
}

/** `H` stands for the service's own Host. */
const REFUSED: Array<[what: string, bytes: string, status: number, code: string]> = [
  ['no HTTP at all', 'hello?\r\n\r\n', 400, 'bad_request'],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'bad_request'],
  ['lines that end with LF alone', 'GET /healthz HTTP/1.1\nHost: H\n\n', 400, 'bad_request'],
  ['an address with a blank', 'GET /a b HTTP/1.1\r\nHost: H\r\n\r\n', 400, 'bad_request'],
  ['a blank before a colon', 'GET /healthz HTTP/1.1\r\nHost : H\r\n\r\n', 400, 'bad_request'],
  ['folded headers', 'GET /healthz HTTP/1.1\r\nHost: H\r\nX: a\r\n b\r\n\r\n', 400, 'bad_request'],
  ['NUL in a header', 'GET /healthz HTTP/1.1\r\nHost: H\r\nX: a\0b\r\n\r\n', 400, 'bad_request'],
  ['HTTP/0.9', 'GET /healthz\r\n\r\n', 400, 'bad_request'],
  ['HTTP/2.0', 'GET /healthz HTTP/2.0\r\nHost: H\r\n\r\n', 400, 'bad_request'],
  [
    'headers of 20 kB',
    `GET /healthz HTTP/1.1\r\nHost: H\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    431,
    'headers_too_large',
  ],
  ['an address of 20 kB', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: H\r\n\r\n`, 431, 'headers_too_large'],
  ['no Host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'bad_request'],
  ['two Hosts', 'GET /healthz HTTP/1.1\r\nHost: H\r\nHost: H\r\nConnection: close\r\n\r\n', 400, 'bad_request'],
  [
    'another expectation',
    'PUT /x HTTP/1.1\r\nHost: H\r\nExpect: 200-ok\r\nConnection: close\r\n\r\n',
    417,
    'expectation_failed',
  ],
  ...(
    [
      ['gzip, then chunked', 'Transfer-Encoding: gzip, chunked'],
      ['chunked, then gzip', 'Transfer-Encoding: chunked, gzip'],
      ['chunked twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'],
      ['identity', 'Transfer-Encoding: identity'],
      ['a coding with a parameter', 'Transfer-Encoding: chunked;q=1'],
      ['chunked, and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 5'],
      ['two lengths', 'Content-Length: 5\r\nContent-Length: 6'],
      ['a length in hex', 'Content-Length: 0x5'],
      ['a length with a sign', 'Content-Length: +5'],
    ] as const
  ).map(([what, header]): [string, string, number, string] => [
    what,
    `POST /v1/packages HTTP/1.1\r\nHost: H\r\nContent-Type: application/json\r\n${header}\r\n\r\n0\r\n\r\n`,
    400,
    'bad_request',
  ]),
  [
    'chunks in HTTP/1.0',
    'POST /v1/packages HTTP/1.0\r\nHost: H\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
    'bad_request',
  ],
  ...(
    [
      ['a chunk whose size is no number', 'zz\r\n{}\r\n0\r\n\r\n', 400, 'bad_request'],
      ['a chunk that ends with LF alone', '2\n{}\n0\n\n', 400, 'bad_request'],
      ['a chunk that is longer than it says', '2\r\n{}{}\r\n0\r\n\r\n', 400, 'bad_request'],
      ['chunk extensions of 20 kB', `2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`, 413, 'body_too_large'],
    ] as const
  ).map(([what, body, status, code]): [string, string, number, string] => [
    what,
    `POST /v1/packages HTTP/1.1\r\nHost: H\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
    status,
    code,
  ]),
  ...(
    [
      ['another host', 'http://other.example/healthz', 421, 'misdirected_request'],
      ['another port', 'http://127.0.0.1:1/healthz', 421, 'misdirected_request'],
      ['a user', 'http://me@H/healthz', 421, 'misdirected_request'],
      ['another scheme', 'ftp://H/healthz', 400, 'bad_request'],
      ['no host', 'http:///healthz', 421, 'misdirected_request'],
    ] as const
  ).map(([what, address, status, code]): [string, string, number, string] => [
    `an address that names ${what}`,
    `GET ${address} HTTP/1.1\r\nHost: H\r\nConnection: close\r\n\r\n`,
    status,
    code,
  ]),
];

for (const [what, bytes, status, code] of REFUSED) {
  test(`refused with ${status} and a problem: ${what}`, async (t) => {
    const { url } = t.context.service;
    const answers = await sendRaw(
      url,
      bytes.replaceAll('H', (h, at) => hostAt(bytes, at, h, new URL(url).host)),
    );
    t.is(answers.length, 1);
    assertProblem(t, answers[0], status, code);
  });
}

/** Not the H of HTTP and Host. */
function hostAt(bytes: string, at: number, letter: string, host: string): string {
  return /^H(?![\w])/.test(bytes.slice(at)) ? host : letter;
}

test('an address in absolute form is served when it names the host that Host names', async (t) => {
  const { url } = t.context.service;
  const { host } = new URL(url);
  for (const address of [`http://${host}/healthz`, `HTTP://${host}/healthz`, `https://${host}/healthz`]) {
    const [answer] = await sendRaw(url, `GET ${address} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    t.is(answer?.status, 200, address);
  }
});

test('an address of another host does not get past the Host check, with or without a token', async (t) => {
  const { url } = t.context.service;
  const get = (at: string, address: string, host: string, more = '') =>
    sendRaw(at, `GET ${address} HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`);
  const foreign = 'http://other.example/v1/packages';
  assertProblem(t, (await get(url, foreign, 'other.example'))[0], 403, 'foreign_host');
  assertProblem(t, (await get(url, foreign, new URL(url).host))[0], 421, 'misdirected_request');
  const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: TOKEN } });
  t.teardown(() => service.dispose());
  const bearer = `Authorization: Bearer ${TOKEN}\r\n`;
  assertProblem(t, (await get(service.url, foreign, 'store.example', bearer))[0], 421, 'misdirected_request');
  t.is((await get(service.url, foreign, 'other.example', bearer))[0]?.status, 200);
  t.is((await get(service.url, 'http://store.example:80/v1/packages', 'store.example', bearer))[0]?.status, 200);
});

test('an error behind a whole request is answered after that request', async (t) => {
  const { url } = t.context.service;
  const { host } = new URL(url);
  const id = await apiOf(url).create();
  const whole = `PUT /v1/packages/${id}/files/f HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\n\r\nwhole`;
  const answers = await sendRaw(url, `${whole}and more than was said`);
  t.deepEqual(
    answers.map(({ status }) => status),
    [201, 400],
  );
  assertProblem(t, answers[1], 400, 'bad_request');
  t.is((await apiOf(url).get(`/v1/packages/${id}/files/f`)).body, 'whole');
});

test('a body that is cut off in its chunks leaves nothing', async (t) => {
  const { url } = t.context.service;
  const { host } = new URL(url);
  const id = await apiOf(url).create();
  const head = `PUT /v1/packages/${id}/files/f HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const answers = await sendRaw(url, `${head}5\r\nhello\r\nzz\r\n`);
  t.deepEqual(
    answers.map(({ status }) => status),
    [400],
  );
  t.is((await apiOf(url).get(`/v1/packages/${id}/files/f`)).status, 404);
});

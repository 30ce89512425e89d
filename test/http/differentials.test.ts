import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { ONCE } from '../../src/http/framing.ts';
import { type Api, apiOf } from '../support/api.ts';
import { answersIn, openRaw, sendRaw } from '../support/raw-http.ts';
import { startTestService, type TestService } from '../support/service.ts';

/** What a proxy, a log or a filter could read otherwise than this service: refused, and nothing behind it is served. */
const test = anyTest as TestFn<{ service: TestService; api: Api; host: string }>;
const SOURCES = new URL('../../src/http/', import.meta.url);

test.before(async (t) => {
  const service = await startTestService({ bounds: { lingerMs: 200 } });
  t.context = { service, api: apiOf(service.url), host: new URL(service.url).host };
});
test.after.always((t) => t.context.service?.dispose());

/** Sends bytes, in which `{host}` is the service's, until the service closes the connection. @returns `status code` of each answer */
async function answersTo(
  { context: { service, host } }: ExecutionContext<{ service: TestService; host: string }>,
  bytes: string,
) {
  const answers = await sendRaw(service.url, bytes.replaceAll('{host}', host));
  return answers.map(({ status, body }) => {
    const code = status < 400 ? '' : ` ${JSON.parse(body).code}`;
    return `${status}${code}`;
  });
}

const VALUES: Record<string, string> = {
  host: '{host}',
  'content-length': '0',
  'transfer-encoding': 'chunked',
  expect: '100-continue',
  origin: 'http://{host}',
};

for (const name of ONCE) {
  test(`a header that stands twice is refused: ${name}`, async (t) => {
    const value = VALUES[name] ?? 'x';
    const host = name === 'host' ? '' : 'Host: {host}\r\n';
    for (const [first, second] of [
      [name, name],
      [name, name.toUpperCase()],
    ]) {
      const head = `GET /healthz HTTP/1.1\r\n${host}${first}: ${value}\r\nX-Between: x\r\n${second}: ${value}\r\n\r\n`;
      const [answer, ...others] = await answersTo(t, head);
      t.is(answer, name === 'expect' ? '417 expectation_failed' : '400 bad_request');
      t.deepEqual(others, []);
    }
  });
}

test('every header that the service reads is among those that stand once', async (t) => {
  const read = new Set<string>();
  for (const file of await readdir(SOURCES, { recursive: true })) {
    if (!file.endsWith('.ts')) continue;
    const text = await readFile(new URL(file, SOURCES), 'utf8');
    for (const [, got, property, listed] of text.matchAll(
      /ctx\.get\('([\w-]+)'\)|headers(?:\.|\[')([\w-]+)|\{ headers: \{ (\w+) \}/g,
    )) {
      read.add((got ?? property ?? listed) as string);
    }
  }
  t.true(read.has('if-match') && read.has('transfer-encoding') && read.has('expect'));
  t.deepEqual(
    [...read].filter((name) => !ONCE.has(name)),
    [],
  );
});

/** Its length is the same whatever the host is. */
const SMUGGLED =
  'POST /v1/packages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 45\r\n\r\n{"name":"smuggled","producer":"smuggler 000"}';
const HEX = (text: string) => text.length.toString(16);

/** @param body what stands between the head and what is smuggled */
function behind(head: string, body = '0\r\n\r\n'): string {
  return `POST /v1/packages HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n${head}\r\n\r\n${body}${SMUGGLED}`;
}

const SHAPES: Array<[what: string, bytes: string, answers: string[]]> = [
  ...[
    'Content-Length: 5\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nContent-Length: 5',
    'Transfer-Encoding: chunked\r\nContent-Length: 0',
    'Content-Length: 5\r\nContent-Length: 5',
    'Content-Length: 0\r\nContent-Length: 5',
    'Content-Length: 5, 5',
    'Content-Length: 5 5',
    'Content-Length: -5',
    'Content-Length: 5_0',
    'Content-Length: 5.0',
    'Content-Length: 0x5',
    'Content-Length: ',
    'Content-Length: 18446744073709551621',
    'Content-Length : 5',
    'Content-Length\x0b: 5',
    'Content-Length: \x0b5',
    ' Content-Length: 5',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding\t: chunked',
    ' Transfer-Encoding: chunked',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunkedx',
    'Transfer-Encoding: \x0bchunked',
    'Transfer-Encoding: "chunked"',
    'Transfer-Encoding: chunked, chunked',
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: identity, chunked',
    'Transfer-Encoding: chunked;x=1',
    'Transfer-Encoding: ,chunked',
    'Transfer-Encoding:\r\n chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
    'X: a\nTransfer-Encoding: chunked',
    'X: a\rTransfer-Encoding: chunked',
    'X: a\0b\r\nContent-Length: 5',
    'X\0: a\r\nContent-Length: 5',
    ': a\r\nContent-Length: 5',
    'X a\r\nContent-Length: 5',
    'X: a\r\n b\r\nContent-Length: 5',
  ].map((head): [string, string, string[]] => [`head ${JSON.stringify(head)}`, behind(head), ['400 bad_request']]),
  ...[
    '0x5\r\nhello\r\n0\r\n\r\n',
    '+5\r\nhello\r\n0\r\n\r\n',
    '-1\r\nhello\r\n0\r\n\r\n',
    ' 5\r\nhello\r\n0\r\n\r\n',
    '5 \r\nhello\r\n0\r\n\r\n',
    '5_\r\nhello\r\n0\r\n\r\n',
    '\r\nhello\r\n0\r\n\r\n',
    '5\nhello\n0\n\n',
    '5\r\nhello\n0\r\n\r\n',
    '5\r\nhello0\r\n\r\n',
    '5;a\nhello\r\n0\r\n\r\n',
    '5;a=b\rc\r\nhello\r\n0\r\n\r\n',
    '5\rX\nhello\r\n0\r\n\r\n',
    '4\r\nhello\r\n0\r\n\r\n',
    'ffffffffffffffff1\r\nhello\r\n0\r\n\r\n',
    '10000000000000005\r\nhello\r\n0\r\n\r\n',
    '0\r\nX: a\n\r\n\r\n',
    '0\r\nContent-Length: 5\r\n\r\n',
    '0\r\nTransfer-Encoding: chunked\r\n\r\n',
    '0\r\nX : a\r\n\r\n',
    '0\r\nX\0: a\r\n\r\n',
  ].map((body): [string, string, string[]] => [
    `chunks ${JSON.stringify(body)}`,
    behind('Transfer-Encoding: chunked', body),
    ['400 bad_request'],
  ]),
  [
    'a body of a GET',
    `GET /healthz HTTP/1.1\r\nHost: {host}\r\nContent-Length: ${SMUGGLED.length}\r\nConnection: close\r\n\r\n${SMUGGLED}`,
    ['415 unsupported_media_type'],
  ],
  [
    'a body of a GET in chunks',
    `GET /healthz HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n${HEX(SMUGGLED)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
    ['415 unsupported_media_type'],
  ],
  [
    'a body of an address that is none',
    `POST /nowhere HTTP/1.1\r\nHost: {host}\r\nContent-Length: ${SMUGGLED.length}\r\nConnection: close\r\n\r\n${SMUGGLED}`,
    ['404 route_not_found'],
  ],
  ['CONNECT', `CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n${SMUGGLED}`, ['405 method_not_allowed']],
  ['CONNECT of a path', `CONNECT /v1/packages HTTP/1.1\r\nHost: {host}\r\n\r\n${SMUGGLED}`, ['405 method_not_allowed']],
  ['two Hosts', `GET /healthz HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n${SMUGGLED}`, ['400 bad_request']],
  ['no Host', `GET /healthz HTTP/1.1\r\n\r\n${SMUGGLED}`, ['400 bad_request']],
  ['another host', `GET http://x.example/ HTTP/1.1\r\nHost: {host}\r\n\r\n${SMUGGLED}`, ['421 misdirected_request']],
  ['a fragment', `GET /healthz#x HTTP/1.1\r\nHost: {host}\r\n\r\n${SMUGGLED}`, ['400 bad_request']],
  [
    'behind a request that is right',
    `GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n${behind('Transfer-Encoding: ,chunked')}`,
    ['200', '400 bad_request'],
  ],
  ['a client that closes', `GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n${SMUGGLED}`, ['200']],
];

for (const [nth, [what, bytes, expected]] of SHAPES.entries()) {
  test(`nothing is smuggled: ${what}`, async (t) => {
    const producer = `smuggler ${String(nth).padStart(3, '0')}`;
    t.deepEqual(await answersTo(t, bytes.replaceAll('smuggler 000', producer)), expected);
    const { body } = await t.context.api.get(`/v1/packages?producer=${encodeURIComponent(producer)}`);
    t.deepEqual(body.items, []);
  });
}

test('a request behind CONNECT waits for nothing, and CONNECT behind a request is answered after it', async (t) => {
  const get = 'GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n';
  t.deepEqual(await answersTo(t, `${get}CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n${get}`), [
    '200',
    '405 method_not_allowed',
  ]);
});

test('a request behind a body that was refused is not served, when both come after the answer', async (t) => {
  const { socket, closed } = openRaw(t.context.service.url);
  const head = `POST /v1/packages HTTP/1.1\r\nHost: ${t.context.host}\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n`;
  socket.write(head);
  await once(socket, 'data');
  socket.write(`0123456789${SMUGGLED.replace('smuggler', 'too late')}`);
  const answers = answersIn(await closed);
  t.deepEqual(
    answers.map(({ status, headers }) => [status, headers.connection]),
    [[415, 'close']],
  );
  t.deepEqual((await t.context.api.get('/v1/packages?producer=too+late+000')).body.items, []);
});

/** What differs, and to no harm: it is as RFC 9112 says, or is not read at all. */
const HARMLESS: Array<[what: string, bytes: string, status: string]> = [
  [
    'an empty line before the request',
    '\r\n\r\nGET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n',
    '200',
  ],
  [
    'an offer to upgrade',
    'GET /healthz HTTP/1.1\r\nHost: {host}\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings, close\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n',
    '200',
  ],
  [
    'another method in a header',
    'GET /healthz HTTP/1.1\r\nHost: {host}\r\nX-HTTP-Method-Override: DELETE\r\nConnection: close\r\n\r\n',
    '200',
  ],
  [
    'another address in a header',
    'GET /healthz HTTP/1.1\r\nHost: {host}\r\nX-Original-URL: /v1/packages\r\nX-Forwarded-Host: x.example\r\nConnection: close\r\n\r\n',
    '200',
  ],
  [
    'Digest, of which there is nothing to be checked',
    'GET /healthz HTTP/1.1\r\nHost: {host}\r\nDigest: sha-256=x\r\nDigest: sha-256=y\r\nConnection: close\r\n\r\n',
    '200',
  ],
  ...(
    [
      ['chunk extensions', '2;a=b;c\r\n{}\r\n0;d\r\n\r\n'],
      ['zeros before a chunk size', '0000002\r\n{}\r\n000\r\n\r\n'],
      ['trailers, which are not read', '2\r\n{}\r\n0\r\nHost: x.example\r\nAuthorization: x\r\n\r\n'],
    ] as const
  ).map(([what, body]): [string, string, string] => [
    what,
    `POST /v1/packages HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
    '422 invalid_request',
  ]),
];

for (const [what, bytes, status] of HARMLESS) {
  test(`harmless: ${what}`, async (t) => {
    t.deepEqual(await answersTo(t, bytes), [status]);
  });
}

for (const [target, expected] of [
  ['//healthz', '404 route_not_found'],
  ['/./healthz', '404 route_not_found'],
  ['/v1/../healthz', '404 route_not_found'],
  ['/v1/%2e%2e/healthz', '404 route_not_found'],
  ['/v1/packages/x/../../../healthz', '404 route_not_found'],
  ['/healthz/', '404 route_not_found'],
  ['/healthz/.', '404 route_not_found'],
  ['/healthz;a=b', '404 route_not_found'],
  ['/HEALTHZ', '404 route_not_found'],
  ['/%68ealthz', '404 route_not_found'],
  ['/healthz%00', '404 route_not_found'],
  ['/healthz%20', '404 route_not_found'],
  ['/healthz%23', '404 route_not_found'],
  ['/healthz%3f', '404 route_not_found'],
  ['/healthz#', '400 bad_request'],
  ['/healthz?#a', '400 bad_request'],
  ['/v1\\packages', '400 bad_request'],
  ['\\healthz', '400 bad_request'],
  ['/healthz\xa0', '400 bad_request'],
  ['/healthz\xc3\xa9', '400 bad_request'],
  ['/healthz\0', '400 bad_request'],
  ['/healthz\t', '400 bad_request'],
  ['/healthz\x7f', '400 bad_request'],
  ['healthz', '400 bad_request'],
  ['{host}/healthz', '400 bad_request'],
  ['//{host}/healthz', '404 route_not_found'],
  ['*', '404 route_not_found'],
  ['/v1/packages/x%2Ffiles', '404 package_not_found'],
  ['/v1/packages/x/files/a%2F..%2Fb', '422 invalid_path'],
  ['/v1/packages/x/files/%252e%252e', '404 package_not_found'],
  ['/v1/packages/x/files/a%0d%0aX:%20b', '422 invalid_path'],
  ['/v1/packages/x/files/%ff', '422 invalid_path'],
] as const) {
  test(`an address is read as it stands: ${JSON.stringify(target)}`, async (t) => {
    t.deepEqual(await answersTo(t, `GET ${target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n`), [expected]);
  });
}

for (const [what, body, field] of [
  ['a name twice', '{"name":"a","producer":"p","name":"b"}', 'name'],
  ['with the same value', '{"name":"a","name":"a","producer":"p"}', 'name'],
  ['once with an escape', '{"name":"a","producer":"p","n\\u0061me":"b"}', 'name'],
  ['further in', '{"name":"a","producer":"p","metadata":{"x":[{"k":1,"k":2}]}}', 'k'],
  ['__proto__', '{"name":"a","producer":"p","metadata":{"__proto__":1,"__proto__":2}}', '__proto__'],
  ['numbers', '{"name":"a","producer":"p","metadata":{"1":1,"0":1,"1":1}}', '1'],
  ['an empty name', '{"name":"a","producer":"p","metadata":{"":1,"":1}}', ''],
] as const) {
  test(`JSON in which an object has a name twice is refused: ${what}`, async (t) => {
    const { api, host } = t.context;
    const answer = await api.call('POST', '/v1/packages', body, { 'content-type': 'application/json' });
    t.is(answer.status, 400);
    t.like(answer.body, { code: 'invalid_json', errors: [{ field, message: 'appears more than once' }] });
    // In pieces it is read another way.
    const pieces = [...body].map((letter) => `${HEX(letter)}\r\n${letter}\r\n`).join('');
    const head = `POST /v1/packages HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`;
    t.deepEqual(await answersTo(t, `${head}${pieces}0\r\n\r\n`), ['400 invalid_json']);
  });
}

test('what would be smuggled is a request', async (t) => {
  const [answer] = await sendRaw(
    t.context.service.url,
    SMUGGLED.replace('smuggler', 'honest  ').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'),
  );
  t.is(answer?.status, 201);
});

for (const type of [
  'application/json; charset=utf-16',
  'application/json; charset=iso-8859-1',
  'application/json; charset="UTF-7"',
]) {
  test(`JSON is UTF-8, whatever its type says: ${type}`, async (t) => {
    const answer = await t.context.api.call('POST', '/v1/packages', '{"name":"a","producer":"p"}', {
      'content-type': type,
    });
    t.is(answer.status, 415);
    t.is(answer.body.code, 'unsupported_media_type');
    const right = type.replace(/charset=.*/, 'charset=UTF-8');
    t.is((await t.context.api.call('POST', '/v1/packages', '{}', { 'content-type': right })).status, 422);
  });
}

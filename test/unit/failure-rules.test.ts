import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcp } from 'node:net';
import test from 'ava';
import got from 'got';
import { isOfConnection, mayHaveArrived, mayPass, sayFailure } from '../../cli/client/api/failure-rules.ts';
import { RetryNotes, withRetries } from '../../cli/client/api/retry.ts';
import { ApiError } from '../../cli/errors.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import { freePorts } from '../support/ports.ts';

const SERVICE = { who: 'service', known: true } as const;
const NEW_SERVICE = { who: 'service', known: false } as const;
const STORAGE = { who: 'storage', known: true } as const;
const NEW_STORAGE = { who: 'storage', known: false } as const;

function failed(code: string, more: object = {}): Error {
  return Object.assign(new Error(code), { code, ...more });
}

function answered(status: number, code: ErrorCode = 'internal'): ApiError {
  return new ApiError(code, status, 'why');
}

test('transient failures of the service and of storage, known and new', (t) => {
  const table: Array<[error: unknown, service: boolean, isNew: boolean, storage: boolean, newStorage: boolean]> = [
    [failed('ECONNREFUSED'), true, false, true, true],
    [failed('EHOSTUNREACH'), true, false, true, true],
    [failed('EAI_AGAIN'), true, false, true, true],
    [failed('ENOTFOUND'), true, false, true, false],
    [failed('ECONNRESET'), true, true, true, true],
    [failed('EPIPE'), true, true, true, true],
    [failed('ERR_HTTP_CONTENT_LENGTH_MISMATCH'), true, true, true, true],
    [failed('ETIMEDOUT'), true, true, true, true],
    [failed('ETIMEDOUT', { syscall: 'connect' }), true, false, true, true],
    [failed('ERR_PROXY_TUNNEL'), true, false, true, false],
    [failed('ERR_PROXY_TUNNEL', { statusCode: 502 }), true, false, true, false],
    [failed('ERR_PROXY_TUNNEL', { statusCode: 407 }), false, false, false, false],
    [failed('ERR_PROXY_TUNNEL', { statusCode: 403 }), false, false, false, false],
    [
      failed('ERR_PROXY_TUNNEL', { cause: failed('ERR_PROXY_TUNNEL', { statusCode: 407 }) }),
      false,
      false,
      false,
      false,
    ],
    [failed('DEPTH_ZERO_SELF_SIGNED_CERT'), false, false, false, false],
    [failed('CERT_HAS_EXPIRED'), false, false, false, false],
    [failed('ERR_TLS_CERT_ALTNAME_INVALID'), false, false, false, false],
    [failed('EPROTO'), false, false, false, false],
    [failed('ERR_SSL_WRONG_VERSION_NUMBER'), false, false, false, false],
    [failed('HPE_INVALID_CONSTANT'), false, false, false, false],
    [failed('ERR_LINK_LOCAL'), false, false, false, false],
    [failed('ERR_INVALID_CHAR'), false, false, false, false],
    [failed('EACCES'), false, false, false, false],
    [new Error('a bug'), false, false, false, false],
    [answered(400), false, false, false, false],
    [answered(401), false, false, false, false],
    [answered(403), false, false, true, true],
    [answered(404), false, false, false, false],
    [answered(413), false, false, false, false],
    [answered(429), true, true, true, true],
    [answered(500), false, false, true, true],
    [answered(500, 'integrity_failure'), false, false, false, false],
    [answered(502), true, true, true, true],
    [answered(503), true, true, true, true],
    [answered(503, 'registry_damaged'), false, false, false, false],
    [answered(504), true, true, true, true],
    [answered(507, 'no_space'), false, false, false, false],
  ];
  for (const [error, ...expected] of table) {
    const asked = [SERVICE, NEW_SERVICE, STORAGE, NEW_STORAGE];
    t.deepEqual(
      asked.map((who) => mayPass(error, who)),
      expected,
      sayFailure(error),
    );
  }
});

test('a request that may have arrived is not sent again if it must not run twice', async (t) => {
  t.false(mayHaveArrived(failed('ECONNREFUSED')));
  t.false(mayHaveArrived(failed('ETIMEDOUT', { syscall: 'connect' })));
  t.true(mayHaveArrived(failed('ETIMEDOUT')));
  t.true(mayHaveArrived(failed('ECONNRESET')));
  t.true(mayHaveArrived(answered(503)));
  const told: string[] = [];
  const tries = async (error: Error, once: boolean): Promise<number> => {
    let count = 0;
    const rule = {
      tries: 2,
      once,
      signal: new AbortController().signal,
      notes: new RetryNotes((text) => told.push(text)),
      whom: 'The service at http://store.example',
      asked: () => SERVICE,
    };
    await t.throwsAsync(
      withRetries(rule, async () => {
        count += 1;
        throw error;
      }),
      { is: error },
    );
    return count;
  };
  t.is(await tries(failed('ECONNREFUSED'), true), 2);
  t.is(await tries(failed('ECONNRESET'), true), 1);
  t.is(await tries(answered(503), true), 1);
  t.is(await tries(answered(503), false), 2);
  t.is(await tries(failed('CERT_HAS_EXPIRED'), false), 1);
  t.deepEqual(told, [
    'The service at http://store.example refuses connections (ECONNREFUSED): trying again, up to 1 times.',
    'The service at http://store.example answered 503: trying again, up to 1 times.',
  ]);
});

test('retries are reported once in ten seconds, however many calls fail', (t) => {
  const told: string[] = [];
  let now = 0;
  const notes = new RetryNotes(
    (text) => told.push(text),
    () => now,
  );
  for (now = 0; now < 25_000; now += 100) notes.retrying('The service', answered(503), 7);
  t.is(told.length, 3);
});

test('real failures of got are those of the table', async (t) => {
  const of = (url: string, timeout = {}) =>
    got(url, { retry: { limit: 0 }, timeout }).then(
      () => null,
      (error: Error) => error,
    );
  const [free = 0] = await freePorts(1);
  const refused = await of(`http://127.0.0.1:${free}`);
  t.true(isOfConnection(refused));
  t.true(mayPass(refused, SERVICE));
  t.false(mayPass(refused, NEW_SERVICE));
  t.false(mayHaveArrived(refused));

  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const cut = await of(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.true(mayPass(cut, NEW_SERVICE), String(cut));
  t.true(mayHaveArrived(cut));

  const other = createTcp((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH\r\n'));
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.teardown(() => other.close());
  for (const scheme of ['http', 'https']) {
    const wrong = await of(`${scheme}://127.0.0.1:${(other.address() as AddressInfo).port}`);
    t.true(isOfConnection(wrong), String(wrong));
    t.false(mayPass(wrong, SERVICE), String(wrong));
  }
  const mute = createTcp((socket) => socket.on('error', () => {}).resume());
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  t.teardown(() => mute.close());
  const late = await of(`https://127.0.0.1:${(mute.address() as AddressInfo).port}`, { secureConnect: 20 });
  t.true(isOfConnection(late), String(late));
  t.true(mayPass(late, SERVICE));
  t.false(mayHaveArrived(late));

  const socket = connect(free, '127.0.0.1');
  const [plain] = (await once(socket, 'error')) as [Error];
  t.true(isOfConnection(plain));
  t.false(isOfConnection(new TypeError('a bug')));
  t.false(isOfConnection(answered(503)));
});

import type { lookup } from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { Connections, LinkLocalRefused, openRequest } from '../../cli/client/api/connections.ts';
import { RetryNotes } from '../../cli/client/api/retry.ts';
import { readSource } from '../../cli/client/pull/signed-get.ts';
import { EXIT, toCliError } from '../../cli/errors.ts';
import { writeEndlessly } from '../support/endless.ts';

const signal = new AbortController().signal;
const notes = new RetryNotes(() => {});

/** A server, and names that lead to these addresses, which the system's resolver cannot be made to give. */
async function place(t: ExecutionContext, names: Record<string, string[]>) {
  const server = createServer((request, response) => response.end(`asked for ${request.headers.host}`));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const resolve = ((host: string, _options: object, callback: (error: Error | null, found: unknown) => void) => {
    const found = names[host] ?? [];
    callback(
      null,
      found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  }) as typeof lookup;
  const pool = new Connections({ lookup: resolve }).pool(1);
  t.teardown(() => pool.close());
  const { port } = server.address() as AddressInfo;
  const get = async (host: string): Promise<string> => {
    const request = openRequest({ url: `http://${host}:${port}/`, method: 'GET', headers: {} }, pool, signal);
    const answered = once(request, 'response');
    request.end();
    const [response] = await answered;
    return (await response.setEncoding('utf8').toArray()).join('');
  };
  return { get, pool, port };
}

test('a name that leads to link-local addresses alone is refused by the address that would be connected to', async (t) => {
  const { get, pool, port } = await place(t, {
    'metadata.google.internal': ['169.254.169.254'],
    'six.example': ['fe80::1', '::ffff:169.254.169.254'],
  });
  for (const name of ['metadata.google.internal', 'six.example']) {
    const error = await t.throwsAsync(get(name), { instanceOf: LinkLocalRefused });
    t.regex(error.message, new RegExp(`^${name} \\(`));
  }
  const source = { url: `http://metadata.google.internal:${port}/`, headers: {}, size: 1, frames: null };
  const reading = readSource(source, 0, 1, { pool, notes, signal });
  const told = toCliError(await t.throwsAsync(reading.next()));
  t.is(told.exit, EXIT.unreachable);
  t.regex(told.message, /metadata\.google\.internal \(169\.254\.169\.254\) is a link-local address/);
});

test('a name that has a link-local address beside another is reached by the other', async (t) => {
  const { get, port } = await place(t, { 'printer.local': ['fe80::1', '127.0.0.1'], 'private.example': ['127.0.0.1'] });
  t.is(await get('printer.local'), `asked for printer.local:${port}`);
  t.is(await get('private.example'), `asked for private.example:${port}`);
  t.is(await get('127.0.0.1'), `asked for 127.0.0.1:${port}`);
});

test('link-local addresses in URLs are refused in every way to write them', (t) => {
  const pool = new Connections().pool(1);
  for (const host of [
    '169.254.169.254',
    '[fe80::1]',
    '[::ffff:a9fe:a9fe]',
    '0xa9fea9fe',
    '2852039166',
    '0251.0376.0251.0376',
  ]) {
    t.throws(() => pool.agentsFor(`http://${host}/latest/meta-data`), { instanceOf: LinkLocalRefused }, host);
  }
  t.notThrows(() => pool.agentsFor('http://10.0.0.1/'));
});

test('a redirect of storage is an answer, and not followed', async (t) => {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(request.url ?? '');
    response.writeHead(307, { location: '/elsewhere' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const pool = new Connections().pool(1);
  t.teardown(() => pool.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/object`;
  const reading = readSource({ url, headers: {}, size: 1, frames: null }, 0, 1, { pool, notes, signal });
  await t.throwsAsync(reading.next(), { message: '/object was answered with 307' });
  t.deepEqual(seen, ['/object']);
});

test('the answer ends with the bytes that are wanted, however much follows them', async (t) => {
  let closed: Promise<unknown> = Promise.resolve();
  const server = createServer(async (_request, response) => {
    closed = once(response, 'close');
    response.write('wanted');
    await writeEndlessly(response, 'x'.repeat(65_536));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const pool = new Connections().pool(1);
  t.teardown(() => pool.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/object`;
  const bytes = await buffer(readSource({ url, headers: {}, size: 6, frames: null }, 0, 6, { pool, notes, signal }));
  t.is(bytes.toString(), 'wanted');
  await closed;
});

test('an answer that ends where it should leaves its connection for the next one', async (t) => {
  let connections = 0;
  const server = createServer((_request, response) => response.end('wanted'));
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const pool = new Connections().pool(1);
  t.teardown(() => pool.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/object`;
  for (let times = 0; times < 3; times += 1) {
    const bytes = await buffer(readSource({ url, headers: {}, size: 6, frames: null }, 0, 6, { pool, notes, signal }));
    t.is(bytes.toString(), 'wanted');
  }
  t.is(connections, 1);
});

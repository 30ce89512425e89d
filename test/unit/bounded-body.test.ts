import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { BodyTooLong, bodyStart, paced, SHORT_BODY, wholeBody } from '../../cli/client/api/bounded-body.ts';
import { writeEndlessly } from '../support/endless.ts';

/** A real answer, and a promise that is kept when its connection has ended. */
async function answer(
  t: ExecutionContext,
  write: (response: ServerResponse) => unknown,
): Promise<{ response: IncomingMessage; closed: Promise<unknown> }> {
  let closed: Promise<unknown> = Promise.resolve();
  const server = createServer((_request, outgoing) => {
    closed = once(outgoing, 'close');
    write(outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const request = get({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  // Of an answer that is given up the request is told, too.
  request.on('error', () => {});
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { response, closed };
}

const endlessly = (response: ServerResponse) => writeEndlessly(response, Buffer.alloc(65_536, 'x'));

test('an endless answer is read up to its limit, and its connection ends', async (t) => {
  const error = await answer(t, endlessly);
  t.is((await bodyStart(paced(error.response))).length, SHORT_BODY);
  await error.closed;
  const list = await answer(t, endlessly);
  await t.throwsAsync(wholeBody(paced(list.response), 1_000_000), {
    instanceOf: BodyTooLong,
    message: 'longer than 1.0 MB',
  });
  await list.closed;
});

test('a body that fits is read whole, and the connection stays', async (t) => {
  const { response } = await answer(t, (outgoing) => outgoing.end('all of it'));
  t.is((await wholeBody(paced(response), 9)).toString(), 'all of it');
  t.false(response.destroyed && !response.complete);
});

test('an answer that stops coming, or comes too slowly, is given up like a lost connection', async (t) => {
  const silent = await answer(t, (outgoing) => outgoing.write('begun'));
  const impatient = { idleMs: 20, graceMs: 60_000, bytesPerSecond: 1 };
  await t.throwsAsync(wholeBody(paced(silent.response, impatient), 100), { code: 'ETIMEDOUT' });
  await silent.closed;
  const slow = await answer(t, endlessly);
  const demanding = { idleMs: 60_000, graceMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY };
  await t.throwsAsync(wholeBody(paced(slow.response, demanding), 1e9), { code: 'ETIMEDOUT', message: /too slowly/ });
  await slow.closed;
});

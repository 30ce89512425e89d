import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';

export interface RelayedRequest {
  method: string;
  /** Path and query. */
  url: string;
  /** The Range header. */
  range: string | undefined;
}

/** How a request is passed on other than as it came. */
export interface Passage {
  /** The service that it goes to. */
  to: string;
  headers?: Record<string, string>;
  /** Cuts the client's connection, and leaves the request with the service. */
  cut?: AbortSignal;
  /** The service has answered it, or died. */
  ended?: () => void;
}

export interface Relay {
  url: string;
  /** Where it passes requests on to. */
  readonly target: string;
  /** Every request that came, in order. */
  seen: RelayedRequest[];
  /** Bytes of answers, other than JSON, that the service has given so far. */
  told: number;
  /** Called before a request is passed on; `drop` cuts its connection instead, a number is answered as a status. */
  before: (request: RelayedRequest) => Promise<'pass' | 'drop' | number | Passage>;
  close(): Promise<void>;
}

/**
 * Stands between the command line and a real service, so that a test can act at an exact request, and lose or refuse it:
 * nothing is decided by time.
 */
export async function startRelay(target: string): Promise<Relay> {
  const server = createServer(async (incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming;
    const seen = { method, url, range: headers.range };
    relay.seen.push(seen);
    const decision = await relay.before(seen);
    if (decision === 'drop') {
      incoming.socket.destroy();
      return;
    }
    if (typeof decision === 'number') {
      incoming.resume();
      outgoing.writeHead(decision, { 'content-type': 'text/plain' }).end('refused by the test');
      return;
    }
    const { to, ...passage }: Passage = decision === 'pass' ? { to: relay.target } : decision;
    const passed = request(to + url, { method, headers: { ...headers, ...passage.headers } });
    passage.cut?.addEventListener('abort', () => outgoing.destroy());
    if (passage.cut?.aborted) outgoing.destroy();
    passed.on('close', () => passage.ended?.());
    passed.on('response', (response: IncomingMessage) => {
      answer(response, outgoing, to).catch(() => outgoing.destroy());
    });
    passed.on('error', () => outgoing.destroy());
    pipeline(incoming, passed).catch(() => passed.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  /** Signed URLs in answers name the service: they are made to name the relay, so that bytes come through it too. */
  async function answer(response: IncomingMessage, outgoing: ServerResponse, from: string): Promise<void> {
    const status = response.statusCode ?? 502;
    if (!/json/.test(response.headers['content-type'] ?? '')) {
      outgoing.writeHead(status, response.headers);
      response.on('data', (chunk: Buffer) => {
        relay.told += chunk.length;
      });
      return pipeline(response, outgoing);
    }
    const text = (await response.setEncoding('utf8').toArray()).join('').replaceAll(from, relay.url);
    const { 'content-length': _length, 'transfer-encoding': _encoding, ...headers } = response.headers;
    outgoing.writeHead(status, headers).end(text);
  }
  const relay: Relay = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    target,
    seen: [],
    told: 0,
    before: async () => 'pass',
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return relay;
}

/** Is this the PUT of a part to its signed URL? */
export function isPart({ method, url }: RelayedRequest): boolean {
  return method === 'PUT' && /^\/v1\/uploads\/[^/]+\/parts\//.test(url);
}

export function isCommit({ method, url }: RelayedRequest): boolean {
  return method === 'POST' && url.endsWith('/commit');
}

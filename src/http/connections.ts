import { randomUUID } from 'node:crypto';
import type { RequestListener, Server } from 'node:http';
import type { Socket } from 'node:net';
import { StoreError } from '../core/errors.ts';
import type { Bounds } from './bounds.ts';
import { rawAnswer } from './parser-problems.ts';

/** Connections beyond the bound that are told so at a time; those beyond these are closed without an answer. */
const TOLD_AT_ONCE = 100;
const AGAIN_S = 2;

/**
 * Takes so many connections at once; further ones get 503, whatever they send, and are closed.
 * @returns a listener for the server's requests, which passes on to `handle` those of connections that were taken
 */
export function boundConnections(
  server: Server,
  handle: RequestListener,
  { connections, lingerMs, pages }: Pick<Bounds, 'connections' | 'lingerMs'> & { pages: string },
): RequestListener {
  const refused = new WeakSet<Socket>();
  let taken = 0;
  server.maxConnections = connections + TOLD_AT_ONCE;
  server.on('connection', (socket: Socket) => {
    if (taken >= connections) {
      refused.add(socket);
      refuse(socket, connections, lingerMs, pages);
      return;
    }
    taken += 1;
    socket.once('close', () => {
      taken -= 1;
    });
  });
  return (req, res) => {
    if (!refused.has(req.socket)) handle(req, res);
  };
}

function refuse(socket: Socket, most: number, lingerMs: number, pages: string): void {
  const problem = new StoreError(
    'unavailable',
    `The service has ${most} connections, and takes no more: try again in a moment.`,
    { limit: 'connections', allowed: most, retry_after: AGAIN_S, headers: { 'Retry-After': String(AGAIN_S) } },
  );
  socket.end(rawAnswer(problem, randomUUID(), pages));
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
}

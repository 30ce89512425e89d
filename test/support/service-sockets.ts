import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { ExecutionContext } from 'ava';

/** The service's own ends of connections to `url`, in the order of their first requests; it runs in this process. */
export function serviceSockets(t: ExecutionContext, url: string): Socket[] {
  const port = Number(new URL(url).port);
  const sockets: Socket[] = [];
  const watch = (message: unknown): void => {
    const { socket } = (message as { request: IncomingMessage }).request;
    if (socket.localPort === port && !sockets.includes(socket)) sockets.push(socket);
  };
  subscribe('http.server.request.start', watch);
  t.teardown(() => unsubscribe('http.server.request.start', watch));
  return sockets;
}

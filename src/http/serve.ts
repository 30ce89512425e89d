import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Log } from '../usecases/services.ts';
import type { Bounds } from './bounds.ts';
import { boundConnections } from './connections.ts';
import { answerParserErrors } from './parser-problems.ts';

/** How long a stop waits for requests that are under way. */
const STOP_PATIENCE_MS = 10_000;
/** How often a stop closes connections on which nothing is under way any more. */
const STOP_SWEEP_MS = 50;
/** When the kernel begins to probe a silent connection (TCP keep-alive): its client may have vanished. */
const PROBE_AFTER_MS = 60_000;
/** How often the time limit of headers is checked. */
const LOOK_MS = 2_000;

export interface ServeOptions {
  host: string;
  port: number;
  bounds: Bounds;
  log: Log;
  /** What the `type` of problems begins with. */
  pages: string;
}

/** The HTTP server: listens when it returns. @throws what listening throws */
export async function serve(
  handle: RequestListener,
  { host, port, bounds, log, pages }: ServeOptions,
): Promise<Server> {
  const server = createServer({
    headersTimeout: bounds.headersMs,
    connectionsCheckingInterval: Math.min(LOOK_MS, bounds.headersMs / 4),
    maxHeaderSize: bounds.headerBytes,
    keepAliveTimeout: bounds.keepAliveMs,
    // A large body may take hours. read-body.ts measures how slow it may be.
    requestTimeout: 0,
    // framing.ts checks it.
    requireHostHeader: false,
    keepAlive: true,
    keepAliveInitialDelay: PROBE_AFTER_MS,
  });
  // No limit but headerBytes: Node would drop headers beyond a count silently.
  server.maxHeadersCount = 0;
  const answered = answerParserErrors(server, handle, { lingerMs: bounds.lingerMs, log, pages });
  const tracked = boundConnections(server, answered, { ...bounds, pages });
  // Without the last two Node would send 100 before the request was looked at, and 417 without a body.
  for (const event of ['request', 'checkContinue', 'checkExpectation'] as const) server.on(event, tracked);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return server;
}

/** Takes no new connection, lets requests under way end, and cuts off those that take too long. */
export async function stopServing(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection that was busy is idle after its answer, and would be kept for a next request.
  const idle = setInterval(() => server.closeIdleConnections(), STOP_SWEEP_MS);
  const timer = setTimeout(() => server.closeAllConnections(), STOP_PATIENCE_MS);
  await closed;
  clearInterval(idle);
  clearTimeout(timer);
}

export function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo;
  return `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`;
}

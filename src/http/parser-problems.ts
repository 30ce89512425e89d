import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type RequestListener, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { StoreError } from '../core/errors.ts';
import type { Log } from '../usecases/services.ts';
import { problemDocument } from './problem.ts';

interface Exchange {
  req: IncomingMessage;
  res: ServerResponse;
}

interface ParserError extends Error {
  code?: string;
  reason?: string;
  bytesParsed?: number;
}

/**
 * Answers what Node's parser refuses (bytes that are not HTTP, headers that are too large or too slow), and CONNECT, with a problem,
 * then closes the connection. The bytes are not logged. Behind an answer that closes the connection nothing is served.
 * @param handle serves requests
 * @returns a listener for the server's requests, which passes them on to `handle`
 */
export function answerParserErrors(
  server: Server,
  handle: RequestListener,
  { lingerMs, log, pages }: { lingerMs: number; log: Log; pages: string },
): RequestListener {
  /** The last request of each connection, until it is answered. */
  const latest = new WeakMap<Duplex, Exchange>();
  const broken = new WeakSet<Duplex>();

  function answer(socket: Duplex, problem: StoreError, cause?: string): void {
    if (!socket.writable) return void socket.destroy();
    const requestId = randomUUID();
    log.debug({ request_id: requestId, code: problem.code, cause }, 'no request');
    socket.end(rawAnswer(problem, requestId, pages));
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    socket.once('close', () => clearTimeout(timer));
  }

  server.on('clientError', (error: ParserError, socket) => {
    // The parser fails again with every byte that follows.
    if (broken.has(socket)) return;
    broken.add(socket);
    socket.pause();
    const exchange = latest.get(socket);
    const tell = () => answer(socket, problemOf(error), error.code);
    if (error.code === 'ECONNRESET' || isSilent(socket)) socket.destroy();
    else if (exchange === undefined) tell();
    // The error comes after a complete request: its answer goes first.
    else if (exchange.req.complete) exchange.res.once('close', tell);
    // The error is in this request's body. Its answer cannot be replaced if it has begun, or if it waits for an earlier one.
    else if (exchange.res.headersSent || exchange.res.socket !== socket) socket.destroy();
    else tell();
  });

  // Without a listener Node closes the connection, and answers nothing.
  server.on('connect', (_req, socket) => {
    // Node listens no longer.
    socket.on('error', () => socket.destroy());
    const tell = () => answer(socket, new StoreError('method_not_allowed', 'This service is no proxy: see /docs.'));
    const exchange = latest.get(socket);
    if (exchange === undefined) tell();
    else exchange.res.once('close', tell);
  });

  return (req, res) => {
    const { socket } = req;
    // RFC 9112, 9.6: what comes behind an answer that says so is not served. It may be the body of another request.
    if (latest.get(socket)?.res.getHeader('connection') === 'close') return;
    const exchange = { req, res };
    latest.set(socket, exchange);
    res.once('close', () => {
      if (latest.get(socket) === exchange) latest.delete(socket);
    });
    handle(req, res);
  };
}

/** Nothing was sent on this connection, so nothing is answered. */
function isSilent(socket: Duplex): boolean {
  return (socket as { bytesRead?: number }).bytesRead === 0;
}

function problemOf({ code = '', reason }: ParserError): StoreError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new StoreError(
        'headers_too_large',
        'The address and the headers are too large: send fewer or shorter ones.',
      );
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new StoreError('body_too_large', 'The chunk extensions of the body are too large: send none.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new StoreError('request_timeout', 'The headers did not arrive in time: send the request at once.');
    default:
      return new StoreError('bad_request', `The request is not valid HTTP/1.1${reason ? ` (${reason})` : ''}.`);
  }
}

/** An answer that belongs to no request. @param pages as errorPages gives it */
export function rawAnswer(error: StoreError, requestId: string, pages: string): string {
  const body = JSON.stringify(problemDocument(error, requestId, pages));
  const { headers = {} } = error.extras as { headers?: Record<string, string> };
  return [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    `X-Request-Id: ${requestId}`,
    'Content-Type: application/problem+json',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

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
 * Answers what Node's parser refuses (bytes that are no HTTP, headers that are too large or never end) with a problem like any
 * other, then closes the connection. Nothing of the bytes is logged.
 * @param handle what serves requests
 * @returns the same, to be told of each request by the server
 */
export function answerParserErrors(
  server: Server,
  handle: RequestListener,
  { lingerMs, log }: { lingerMs: number; log: Log },
): RequestListener {
  /** The last request of each connection. */
  const latest = new WeakMap<Duplex, Exchange>();
  const broken = new WeakSet<Duplex>();

  function answer(socket: Duplex, error: ParserError): void {
    if (!socket.writable) return void socket.destroy();
    const requestId = randomUUID();
    const problem = problemOf(error);
    log.debug({ request_id: requestId, code: problem.code, cause: error.code }, 'no request');
    socket.end(rawAnswer(problem, requestId));
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    socket.once('close', () => clearTimeout(timer));
  }

  server.on('clientError', (error: ParserError, socket) => {
    // A parser that has failed fails again with every byte that follows.
    if (broken.has(socket)) return;
    broken.add(socket);
    socket.pause();
    const exchange = latest.get(socket);
    const pending = exchange !== undefined && !exchange.res.closed;
    if (error.code === 'ECONNRESET' || isSilent(socket, pending)) socket.destroy();
    else if (!pending) answer(socket, error);
    // What failed comes after a request that is whole: that one is answered first.
    else if (exchange.req.complete) exchange.res.once('close', () => answer(socket, error));
    // Its own body failed. An answer that has begun, or waits for another one, cannot be replaced.
    else if (exchange.res.headersSent || exchange.res.socket !== socket) socket.destroy();
    else answer(socket, error);
  });

  return (req, res) => {
    latest.set(req.socket, { req, res });
    handle(req, res);
  };
}

/** Nobody asked for anything, so nobody is answered. */
function isSilent(socket: Duplex, pending: boolean): boolean {
  return !pending && (socket as { bytesRead?: number }).bytesRead === 0;
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
      return new StoreError('request_timeout', 'The headers did not come in time: send the request at once.');
    default:
      return new StoreError('bad_request', `What was sent is not HTTP/1.1${reason ? ` (${reason})` : ''}.`);
  }
}

/** For a connection that has no request to answer. */
function rawAnswer(error: StoreError, requestId: string): string {
  const body = JSON.stringify(problemDocument(error, requestId));
  return [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    `X-Request-Id: ${requestId}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

import { lookup as systemLookup } from 'node:dns';
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import { type AllowedPlace, isNamed, mayReach, urlProblem } from './core/public-address.ts';
import { type HostLookup, hostLookup } from './host-lookup.ts';
import type { Sent } from './usecases/sent.ts';
import type { WebhookPost } from './usecases/services.ts';
import { VERSION } from './version.ts';

/** For the whole of a request: name, connection, TLS, answer; ms. */
const PATIENCE_MS = 15_000;
/** Bytes of an answer that are read, so that its connection can be used again. What they are is looked at by nobody. */
const ANSWER_MAX = 16 * 1024;
const HEADERS_MAX = 16 * 1024;
/** How long a connection waits for the next event, ms: less than receivers wait. */
const IDLE_MS = 2_000;

export interface SenderOptions {
  /** Where events may be sent beside the public Internet. */
  allowed: readonly AllowedPlace[];
  patience?: number;
  /** In the place of the usual one. */
  lookup?: HostLookup;
}

export interface WebhookSender extends Pick<WebhookPost, 'urlProblem' | 'post'> {
  close(): void;
}

/**
 * Sends events. Whoever may make a webhook must not reach by it what only this machine reaches: each address is checked when the
 * connection is made, after the name was resolved, so that no name can mean another address then. Redirects are not followed, proxies
 * are not used (they would resolve the name again), and of the answer nobody is told but its status.
 */
export function webhookSender({
  allowed,
  patience = PATIENCE_MS,
  lookup = usualLookup(allowed),
}: SenderOptions): WebhookSender {
  // With `lookup`, an address in the place of a name is not looked up: `urlProblem` is asked before each request.
  const options = { keepAlive: true, timeout: IDLE_MS, lookup: openLookup(lookup, allowed), proxyEnv: {} };
  const http = new HttpAgent(options);
  const https = new HttpsAgent(options);

  return {
    urlProblem: (url) => urlProblem(url, allowed),
    async post(text, headers, body, signal) {
      const url = new URL(text);
      const problem = urlProblem(url, allowed);
      if (problem !== null) return failed(`it ${problem}`);
      const late = AbortSignal.timeout(patience);
      const ends = signal === null ? late : AbortSignal.any([late, signal]);
      try {
        const answer = await sendAnew(url, { http, https }, headers, body, ends);
        const { statusCode: status = 0 } = answer;
        await readAway(answer, ends);
        if (status >= 200 && status < 300) return { status, failure: null, retryAfter: null };
        return { status, failure: `it answered ${status}`, retryAfter: retryAfterOf(answer) };
      } catch (error) {
        return failed(late.aborted ? `it did not answer within ${patience} ms` : reasonOf(error));
      }
    },
    close() {
      http.destroy();
      https.destroy();
    },
  };
}

function failed(failure: string): Sent {
  return { status: null, failure, retryAfter: null };
}

type Agents = { http: HttpAgent; https: HttpsAgent };

/** Once more when the receiver had just closed the connection that was used again: that is no failure of it. */
async function sendAnew(
  url: URL,
  agents: Agents,
  headers: Record<string, string>,
  body: Buffer,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  try {
    return await send(url, agents, headers, body, signal);
  } catch (error) {
    if (!(error instanceof ReusedConnectionError) || signal.aborted) throw error;
    return send(url, agents, headers, body, signal);
  }
}

class ReusedConnectionError extends Error {
  override readonly name = 'ReusedConnectionError';
}

function send(
  url: URL,
  { http, https }: Agents,
  headers: Record<string, string>,
  body: Buffer,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const more = { method: 'POST', signal, maxHeaderSize: HEADERS_MAX };
  const all = {
    ...more,
    headers: { accept: '*/*', 'user-agent': `artifact-store/${VERSION}`, ...headers, 'content-length': body.length },
  };
  return new Promise((resolve, reject) => {
    const request: ClientRequest =
      url.protocol === 'https:'
        ? requestHttps(url, { ...all, agent: https })
        : requestHttp(url, { ...all, agent: http });
    request.once('response', resolve).on('error', (error: NodeJS.ErrnoException) => {
      const closed = request.reusedSocket && error.code === 'ECONNRESET';
      reject(closed ? new ReusedConnectionError('the connection was closed', { cause: error }) : error);
    });
    request.end(body);
  });
}

/** To its end, or as far as it is read. Its status counts already: what comes after it fails nothing. */
async function readAway(answer: IncomingMessage, signal: AbortSignal): Promise<void> {
  let size = 0;
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > ANSWER_MAX || signal.aborted) break;
    }
  } catch {
    // As above.
  } finally {
    if (!answer.complete) answer.destroy();
  }
}

/** Gives only addresses that may be reached; an error if there is none. */
function openLookup(resolve: HostLookup, allowed: readonly AllowedPlace[]): LookupFunction {
  return (host, options, done) => {
    resolve(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, '');
      const open = found.filter(({ address }) => mayReach(host, address, allowed));
      const [first] = open;
      if (first === undefined) return done(new ClosedAddressError(), '');
      if (options.all === true) return done(null, open);
      done(null, first.address, first.family);
    });
  };
}

/** What the operator names the system knows; of others it is asked with care. */
function usualLookup(allowed: readonly AllowedPlace[]): HostLookup {
  const ofOthers = hostLookup();
  return (host, options, done) => (isNamed(host, allowed) ? systemLookup : ofOthers)(host, options, done);
}

/** It does not say which: whoever makes a webhook is not told what names mean inside. */
class ClosedAddressError extends Error {
  override readonly name = 'ClosedAddressError';

  constructor() {
    super('its host has no public address: the operator can allow it (ARTIFACT_STORE_WEBHOOK_ALLOW)');
  }
}

function reasonOf(error: unknown): string {
  const causes = error instanceof AggregateError ? error.errors : [error];
  const [cause] = causes as [NodeJS.ErrnoException | undefined];
  if (cause instanceof ClosedAddressError) return cause.message;
  return `it cannot be reached (${cause?.code ?? cause?.name ?? 'unknown'})`;
}

/** Seconds; dates are not worth their parsing. */
function retryAfterOf({ headers }: IncomingMessage): number | null {
  const text = headers['retry-after'];
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : null;
}

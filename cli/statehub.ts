import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Link } from '../src/api/types.ts';
import type { HttpProxy } from '../src/core/proxy.ts';
import { Connections, openRequest, type Pool } from './client/api/connections.ts';
import { mayPass } from './client/api/failure-rules.ts';
import { progressUrl } from './statehub-url.ts';

/** Statehub records that a package exists. It is told ids, digests and a summary: never bytes. */
export type PostOutcome = { posted: true } | { posted: false; error: string };

export interface PostOptions {
  timeoutMs: number;
  tries: number;
  /** Between two tries. */
  pauseMs: number;
}

export const DEFAULT_POST_OPTIONS: Readonly<PostOptions> = { timeoutMs: 10_000, tries: 2, pauseMs: 500 };

/**
 * Posts the event; never throws, because the package stays preserved whatever Statehub does. Transient failures are
 * retried: no connection, no answer in time, 429 and 5xx.
 */
export async function postEvent(
  statehub: string,
  event: Link['event'],
  options: PostOptions = DEFAULT_POST_OPTIONS,
  connections = new Connections(),
): Promise<PostOutcome> {
  const url = progressUrl(statehub);
  const pool = connections.pool(1);
  const body = JSON.stringify(event);
  let error: string | null = null;
  for (let tried = 1; tried <= options.tries; tried += 1) {
    if (tried > 1) await sleep(options.pauseMs);
    const outcome = await post(url, body, options.timeoutMs, pool);
    error = outcome.error;
    if (error === null || !outcome.mayPass) break;
  }
  pool.close();
  return error === null ? { posted: true } : { posted: false, error };
}

interface Posted {
  error: string | null;
  mayPass: boolean;
}

/** Redirects are not followed: a 301 or 302 would turn the POST into a GET, and its 200 would look like success. */
async function post(url: string, body: string, timeoutMs: number, pool: Pool): Promise<Posted> {
  const signal = AbortSignal.timeout(timeoutMs);
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json',
    'content-length': Buffer.byteLength(body),
  };
  try {
    const request = openRequest({ url, method: 'POST', headers }, pool, signal);
    const answered = once(request, 'response');
    request.end(body);
    const [response] = (await answered) as [IncomingMessage];
    // Nobody reads what it says.
    response.destroy();
    return judge(url, response);
  } catch (error) {
    const reason = signal.aborted ? `no answer within ${timeoutMs} ms` : reasonOf(error, pool.connections.proxyOf(url));
    const again = signal.aborted || mayPass(error, { who: 'service', known: true });
    return { error: `${url} cannot be reached (${reason})`, mayPass: again };
  }
}

function judge(url: string, { statusCode: status = 0, statusMessage, headers }: IncomingMessage): Posted {
  if (status >= 200 && status < 300) return { error: null, mayPass: false };
  const hint = headers.location === undefined ? '' : `, pointing to ${headers.location}`;
  const error = `${url} answered ${status} ${statusMessage}${hint}`.trim();
  return { error, mayPass: status === 429 || status >= 500 };
}

function reasonOf(error: unknown, proxy: HttpProxy | null): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const reason = String(code ?? message);
  return proxy === null ? reason : `${reason}, through the proxy ${proxy.shown} of ${proxy.variable}`;
}

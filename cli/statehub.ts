import { setTimeout as sleep } from 'node:timers/promises';
import type { Link } from '../src/api/types.ts';

/** Statehub records that a package exists. It is told ids, digests and a summary: never bytes. */
export type PostOutcome = { posted: true } | { posted: false; error: string };

export interface PostOptions {
  timeoutMs: number;
  tries: number;
  /** Between two tries. */
  pauseMs: number;
}

export const DEFAULT_POST_OPTIONS: Readonly<PostOptions> = { timeoutMs: 10_000, tries: 2, pauseMs: 500 };

/** Why a text is no address of a Statehub, as half a sentence; null when it is one. */
export function statehubUrlProblem(text: string): string | null {
  if (!URL.canParse(text)) return 'is not a URL';
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'is neither http: nor https:';
  if (url.username !== '' || url.password !== '') return 'holds a user name or password, which logs would keep';
  if (url.search !== '' || url.hash !== '') return 'holds a query or a fragment';
  return null;
}

/** `{URL}/progress/`, whether or not the URL ends with a slash. */
export function progressUrl(statehub: string): string {
  return `${statehub.replace(/\/+$/, '')}/progress/`;
}

/**
 * Posts the event; never throws, because work that is preserved stays preserved whatever Statehub does. Tried again
 * after what may pass: no connection, no answer in time, 429 and 5xx.
 */
export async function postEvent(
  statehub: string,
  event: Link['event'],
  options: PostOptions = DEFAULT_POST_OPTIONS,
): Promise<PostOutcome> {
  const url = progressUrl(statehub);
  const body = JSON.stringify(event);
  let error = '';
  for (let tried = 1; tried <= options.tries; tried += 1) {
    if (tried > 1) await sleep(options.pauseMs);
    const outcome = await post(url, body, options.timeoutMs);
    if (outcome.error === null) return { posted: true };
    error = outcome.error;
    if (!outcome.mayPass) break;
  }
  return { posted: false, error };
}

async function post(url: string, body: string, timeoutMs: number): Promise<{ error: string | null; mayPass: boolean }> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body,
      // Following 301 or 302 would turn the POST into a GET, and its 200 would look like success.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    if (response.ok) return { error: null, mayPass: false };
    const where = response.headers.get('location');
    const hint = where === null ? '' : `, pointing to ${where}`;
    const mayPass = response.status === 429 || response.status >= 500;
    return { error: `${url} answered ${response.status} ${response.statusText}${hint}`.trim(), mayPass };
  } catch (error) {
    return { error: `${url} cannot be reached (${reasonOf(error, timeoutMs)})`, mayPass: true };
  }
}

function reasonOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${timeoutMs} ms`;
  const cause = error.cause as { code?: unknown; message?: unknown } | undefined;
  return String(cause?.code ?? cause?.message ?? error.message);
}

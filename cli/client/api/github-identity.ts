import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { ApiError, CliError, EXIT } from '../../errors.ts';
import { bodyStart, paced } from './bounded-body.ts';
import { type Connections, openRequest, type Pool } from './connections.ts';
import { isOfConnection } from './failure-rules.ts';
import { noConnection } from './no-connection.ts';
import { readJson } from './read-json.ts';
import { type RetryNotes, withRetries } from './retry.ts';

/** How a job of GitHub Actions gets tokens that say what it is (docs.github.com, “OpenID Connect reference”). */
export interface GithubIdentity {
  /** ACTIONS_ID_TOKEN_REQUEST_URL */
  requestUrl: string;
  /** ACTIONS_ID_TOKEN_REQUEST_TOKEN: good for this job, and for nothing but asking */
  requestToken: string;
  /** Whom the tokens are for; left out: the service, by its URL. */
  audience?: string | undefined;
}

export interface GithubTokensOptions {
  connections: Connections;
  notes: RetryNotes;
  signal: AbortSignal;
  /** Seconds that never go back. */
  clock?: () => number;
}

const TRIES = 5;
/** Seconds of a token's life that a request, and clocks that differ, may need. */
const RESERVE_S = 60;

/**
 * Tokens of the job, asked for when the first is needed, and again before the last one expires: they live for minutes, and a push
 * may take hours. How long is taken from the token itself (`exp` less `iat`), so that the clock of the runner does not matter.
 */
export function githubTokens(
  identity: GithubIdentity,
  serviceUrl: string,
  { connections, notes, signal, clock = () => process.uptime() }: GithubTokensOptions,
): () => Promise<string> {
  const url = new URL(identity.requestUrl);
  url.searchParams.set('audience', identity.audience ?? serviceUrl);
  let held: { token: string; until: number } | null = null;
  let asking: Promise<string> | null = null;

  async function ask(): Promise<string> {
    const asked = clock();
    const pool = connections.pool(1);
    const rule = {
      tries: TRIES,
      asked: () => ({ who: 'service', known: true }) as const,
      whom: `GitHub at ${url.origin}`,
      notes,
      signal,
    };
    try {
      const token = await withRetries(rule, () => requestToken(url, identity.requestToken, pool, signal));
      const lifetime = lifetimeOf(token);
      held = { token, until: asked + lifetime - Math.min(RESERVE_S, lifetime / 2) };
      return token;
    } catch (error) {
      signal.throwIfAborted();
      throw describe(error, url, connections);
    } finally {
      pool.close();
    }
  }

  return async () => {
    if (held !== null && clock() < held.until) return held.token;
    // However many calls need one at once.
    asking ??= ask().finally(() => {
      asking = null;
    });
    return asking;
  };
}

async function requestToken(url: URL, requestToken: string, pool: Pool, signal: AbortSignal): Promise<string> {
  const headers = { authorization: `Bearer ${requestToken}`, accept: 'application/json' };
  const request = openRequest({ url: url.href, method: 'GET', headers }, pool, signal);
  const answered = once(request, 'response');
  request.end();
  const [response] = (await answered) as [IncomingMessage];
  const body = await bodyStart(paced(response));
  const { statusCode: status = 0 } = response;
  if (status !== 200) throw new ApiError('unavailable', status, `GitHub at ${url.origin} answered ${status}`);
  const parsed = readJson(Buffer.from(body));
  const { value } = ('value' in parsed ? (parsed.value ?? {}) : {}) as { value?: unknown };
  if (typeof value === 'string' && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(value)) return value;
  throw noIdentity(`GitHub at ${url.origin} answered with something that has no token in it`);
}

/** Seconds; 0 where it does not say: then one is asked for whenever it is needed. */
function lifetimeOf(token: string): number {
  const parsed = readJson(Buffer.from(token.split('.')[1] ?? '', 'base64url'));
  const { exp, iat } = ('value' in parsed ? (parsed.value ?? {}) : {}) as { exp?: unknown; iat?: unknown };
  return Number.isFinite(exp) && Number.isFinite(iat) ? Math.max(0, Number(exp) - Number(iat)) : 0;
}

function describe(error: unknown, url: URL, connections: Connections): unknown {
  if (error instanceof ApiError) return noIdentity(error.detail);
  if (!isOfConnection(error)) return error;
  const proxy = connections.proxyOf(url.href);
  const sentence = `Cannot reach GitHub at ${url.origin}, where the job gets its tokens`;
  return noConnection({ who: 'service', url: url.origin, proxy, sentence, next: 'Run the job again.' }, error);
}

function noIdentity(why: string): CliError {
  return new CliError(`There is no token for this job: ${why}.`, {
    exit: EXIT.refused,
    code: 'no_identity',
    next: 'Check that the job has `permissions: { id-token: write }`, and run it again.',
  });
}

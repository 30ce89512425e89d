import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose';
import type { ProxyEnv } from '../core/proxy.ts';
import { getJson, IssuerError } from './get-json.ts';

/** How an issuer's keys are asked for; all in ms. */
export interface IssuerTimes {
  /** An issuer that has not answered by then counts as down. */
  timeout: number;
  /** Keys are asked for again when they are as old as this. */
  maxAge: number;
  /** An unknown key has them asked for again, but not sooner than this after the last time. */
  cooldown: number;
  /** After a failure nobody is asked for so long. */
  pause: number;
  /** While the issuer is down, its last keys are good for so long. */
  stale: number;
}

export const ISSUER_TIMES: IssuerTimes = {
  timeout: 5_000,
  maxAge: 600_000,
  cooldown: 30_000,
  pause: 5_000,
  stale: 3_600_000,
};

export interface IssuerKeysOptions {
  proxies: ProxyEnv;
  times: IssuerTimes;
  /** Told when keys could not be had. */
  failed: (error: IssuerError) => void;
}

/**
 * The keys that an issuer publishes: OpenID Connect Discovery 1.0, section 4, then the JWK Set (RFC 7517) that it names. Asked for
 * when the first token comes, so that the service starts whether the issuer is up or not.
 * @throws (the key getter) IssuerError, or jose's JWKSNoMatchingKey and JWKSMultipleMatchingKeys
 */
export function issuerKeys(issuer: string, { proxies, times, failed }: IssuerKeysOptions): JWTVerifyGetKey {
  const discovery = discoveryOf(issuer);
  let last: { keys: unknown; at: number } | null = null;
  let failure: { error: IssuerError; at: number } | null = null;

  async function current(signal: AbortSignal): Promise<unknown> {
    if (failure === null || Date.now() - failure.at >= times.pause) {
      try {
        last = { keys: await publishedKeys(issuer, discovery, proxies, signal), at: Date.now() };
        failure = null;
        return last.keys;
      } catch (error) {
        failure = { error: issuerError(error, discovery), at: Date.now() };
        failed(failure.error);
      }
    }
    if (last !== null && Date.now() - last.at < times.stale) return last.keys;
    throw failure.error;
  }

  const remote = createRemoteJWKSet(new URL(discovery), {
    timeoutDuration: times.timeout,
    cooldownDuration: times.cooldown,
    cacheMaxAge: times.maxAge,
    [customFetch]: async (_url, { signal }) => Response.json(await current(signal)),
  });
  return async (header, token) => {
    try {
      return await remote(header, token);
    } catch (error) {
      const isNoKey = error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys;
      // A key that the issuer may have published since.
      if (isNoKey && failure === null) throw error;
      throw failure?.error ?? issuerError(error, discovery);
    }
  };
}

/** Whether an issuer can be reached, and publishes keys. @throws IssuerError */
export async function askIssuer(issuer: string, proxies: ProxyEnv): Promise<void> {
  await publishedKeys(issuer, discoveryOf(issuer), proxies, AbortSignal.timeout(ISSUER_TIMES.timeout));
}

/** OpenID Connect Discovery 1.0, section 4. */
function discoveryOf(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
}

async function publishedKeys(issuer: string, discovery: string, proxies: ProxyEnv, signal: AbortSignal) {
  const document = (await getJson(discovery, proxies, signal)) as { issuer?: unknown; jwks_uri?: unknown } | null;
  if (document?.issuer !== issuer) throw new IssuerError(`${discovery} is of another issuer`);
  if (typeof document.jwks_uri !== 'string') throw new IssuerError(`${discovery} names no jwks_uri`);
  const keys = await getJson(document.jwks_uri, proxies, signal);
  if (!Array.isArray((keys as { keys?: unknown } | null)?.keys)) {
    throw new IssuerError(`${document.jwks_uri} is no JSON Web Key Set`);
  }
  return keys;
}

function issuerError(error: unknown, discovery: string): IssuerError {
  if (error instanceof IssuerError) return error;
  return new IssuerError(`The keys of ${discovery} cannot be used (${(error as Error).message})`, { cause: error });
}

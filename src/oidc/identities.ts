import { type ErrorCode, StoreError } from '../core/errors.ts';
import type { TrustedIssuer } from '../core/identity-rules.ts';
import { sayUnmet } from '../core/identity-rules.ts';
import type { ProxyEnv } from '../core/proxy.ts';
import type { Grant } from '../core/scopes.ts';
import { type Examined, examineToken, type IssuerWithKeys, isJwt } from './examine-token.ts';
import { ISSUER_TIMES, type IssuerTimes, issuerKeys } from './issuer-keys.ts';

export interface IdentitiesLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface IdentitiesOptions {
  issuers: readonly TrustedIssuer[];
  proxies: ProxyEnv;
  log: IdentitiesLog;
  times?: Partial<IssuerTimes> | undefined;
}

/** Each issuer with its keys, which are asked for when they are first needed. */
export function issuersWithKeys({ issuers, proxies, log, times }: IdentitiesOptions): IssuerWithKeys[] {
  return issuers.map((issuer) => {
    const failed = (error: Error): void => {
      log.warn({ issuer: issuer.name, reason: error.message }, 'the keys of an issuer cannot be had');
    };
    const options = { proxies, times: { ...ISSUER_TIMES, ...times }, failed };
    return { issuer, keys: issuerKeys(issuer.url, options) };
  });
}

/**
 * What the JWT of a CI job allows; null: the bearer token is no JWT. What exactly is wrong stands in the log: of a token that nobody
 * trusted signed, the answer says only that.
 * @throws StoreError identity_invalid, identity_audience, identity_expired, identity_unmatched, issuer_unavailable
 */
export function identityGrant(options: IdentitiesOptions): (bearer: string) => Promise<Grant | null> {
  const issuers = issuersWithKeys(options);
  return async (bearer) => {
    if (!isJwt(bearer)) return null;
    const examined = await examineToken(bearer, issuers);
    const { verdict } = examined;
    if ('grant' in verdict) return verdict.grant;
    options.log.info(loggedRefusal(examined), 'a JWT was refused');
    throw new StoreError(verdict.code, SAYS[verdict.code] ?? '');
  };
}

const SAYS: Partial<Record<ErrorCode, string>> = {
  identity_invalid: 'This JWT is not accepted: no trusted issuer signed it so. The log of the service has the reason.',
  identity_audience: 'The JWT is for another audience: ask for one for the audience of this service.',
  identity_expired: 'The JWT has expired: get a fresh one. A push that is run again continues where it stopped.',
  identity_unmatched:
    'No rule of this service matches the claims of the JWT: `artifact-store token explain` with its file of rules says why.',
  issuer_unavailable: 'The keys of the issuer of this JWT cannot be had at the moment: try again.',
};

/** Never the token itself. */
function loggedRefusal({ issuer, trials, verdict }: Examined): object {
  const { code, reason } = verdict as { code: string; reason: string };
  const rules = trials.map(({ rule, unmet }) => ({ rule: rule.name, unmet: unmet.map(sayUnmet).join('; ') }));
  return { code, reason, issuer: issuer?.name ?? null, ...(code === 'identity_unmatched' ? { rules } : {}) };
}

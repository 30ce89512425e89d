import { decodeJwt, decodeProtectedHeader, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { ErrorCode } from '../core/errors.ts';
import {
  type Claims,
  decidingRule,
  grantOf,
  type RuleTrial,
  type TrustedIssuer,
  tryRules,
} from '../core/identity-rules.ts';
import type { Grant } from '../core/scopes.ts';
import { IssuerError } from './get-json.ts';

/** An issuer, and how its keys are had. */
export interface IssuerWithKeys {
  issuer: TrustedIssuer;
  keys: JWTVerifyGetKey;
}

/** Why a token allows nothing. */
export interface Refusal {
  code: ErrorCode;
  /** For whoever runs the service, and for `token explain`: what exactly. */
  reason: string;
}

/** What was found out about a token. */
export interface Examined {
  /** Who says that it made it; null: nobody who is trusted. */
  issuer: TrustedIssuer | null;
  /** Of a token whose signature is right, even if something else is wrong; null: nobody knows who wrote them. */
  claims: Claims | null;
  /** Each rule of the issuer held against the claims. */
  trials: readonly RuleTrial[];
  verdict: { grant: Grant; rule: string } | Refusal;
}

/** Seconds that the issuer's clock may be away from ours. */
const CLOCK_TOLERANCE_S = 30;

/** JWTs alone look so; API tokens have no dots. */
export function isJwt(bearer: string): boolean {
  if (!/^[\w-]+\.[\w-]+\.[\w-]*$/.test(bearer)) return false;
  try {
    return typeof decodeProtectedHeader(bearer).alg === 'string';
  } catch {
    return false;
  }
}

/**
 * Signature, issuer, audience and times as RFC 7519 and RFC 8725 have them, then the rules. Which keys and which algorithms count
 * is the configuration's to say, never the token's (`jku`, `jwk`, `x5u` and `alg` are its own words).
 */
export async function examineToken(token: string, issuers: readonly IssuerWithKeys[]): Promise<Examined> {
  const named = issuerNamed(token);
  const found = issuers.find(({ issuer }) => issuer.url === named);
  if (found === undefined) {
    const who = named === null ? 'it names no issuer' : `its issuer ${shown(named)} is not trusted`;
    return { issuer: null, claims: null, trials: [], verdict: { code: 'identity_invalid', reason: who } };
  }
  const { issuer, keys } = found;
  const { claims, refusal } = await verify(token, issuer, keys);
  const trials = claims === null ? [] : tryRules(issuer.rules, claims);
  if (refusal !== null) return { issuer, claims, trials, verdict: refusal };
  const rule = decidingRule(trials);
  if (rule === null || claims === null) {
    return { issuer, claims, trials, verdict: { code: 'identity_unmatched', reason: 'no rule matches its claims' } };
  }
  return { issuer, claims, trials, verdict: { grant: grantOf(issuer, rule, claims), rule: rule.name } };
}

interface Verified {
  claims: Claims | null;
  refusal: Refusal | null;
}

async function verify(token: string, issuer: TrustedIssuer, keys: JWTVerifyGetKey): Promise<Verified> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      algorithms: [...issuer.algorithms],
      issuer: issuer.url,
      audience: issuer.audience,
      clockTolerance: CLOCK_TOLERANCE_S,
      requiredClaims: ['exp'],
    });
    // Each service that it is for could show it to the others.
    const isShared = Array.isArray(payload.aud) && payload.aud.length > 1;
    return { claims: payload, refusal: isShared ? wrongAudience(payload, issuer) : null };
  } catch (error) {
    return refused(error, issuer);
  }
}

/** jose's errors of claims carry the payload, whose signature was right. */
function refused(error: unknown, issuer: TrustedIssuer): Verified {
  if (error instanceof IssuerError) {
    return { claims: null, refusal: { code: 'issuer_unavailable', reason: error.message } };
  }
  if (error instanceof errors.JWTExpired) {
    const reason = `it expired at ${shownTime(error.payload.exp)}`;
    return { claims: error.payload, refusal: { code: 'identity_expired', reason } };
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim, payload } = error;
    if (claim === 'aud') return { claims: payload, refusal: wrongAudience(payload, issuer) };
    const reason =
      claim === 'nbf' ? `it is not good before ${shownTime(payload.nbf)}` : `its ${claim} is missing or wrong`;
    return { claims: payload, refusal: { code: 'identity_invalid', reason } };
  }
  if (error instanceof errors.JOSEError) {
    return { claims: null, refusal: { code: 'identity_invalid', reason: `${error.message} (${error.code})` } };
  }
  throw error;
}

function wrongAudience({ aud }: { aud?: unknown }, { audience }: TrustedIssuer): Refusal {
  const reason = `its audience is ${shown(aud)}, not ${JSON.stringify(audience)} alone`;
  return { code: 'identity_audience', reason };
}

/** Who it says made it: nothing is believed of it but which keys to try. */
function issuerNamed(token: string): string | null {
  try {
    return decodeJwt(token).iss ?? null;
  } catch {
    return null;
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** @param seconds since 1970 */
function shownTime(seconds: unknown): string {
  const date = new Date(Number(seconds) * 1_000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString();
}

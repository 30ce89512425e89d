import { compileGlob } from './glob.ts';
import type { Grant, Scope } from './scopes.ts';

/** Who runs the CI: it decides which claims a rule must name, and what an actor is called. */
export const PLATFORMS = ['github', 'gitlab', 'other'] as const;
export type Platform = (typeof PLATFORMS)[number];

/** Signatures of RFC 7518 and RFC 8037 that need no shared secret. */
export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** What a claim may be: exactly this text, or one that the glob matches (`*` within `/`, `**` across). */
export type Wanted = string | { glob: string };

/** Every claim must be one of what is listed for it. */
export interface IdentityRule {
  name: string;
  claims: ReadonlyMap<string, readonly Wanted[]>;
  /** null: every producer */
  producers: readonly string[] | null;
  scopes: readonly Scope[];
}

/** An OpenID provider whose JWTs are accepted. */
export interface TrustedIssuer {
  /** Begins the actors of its jobs: `github`. */
  name: string;
  /** As the claim `iss` has it, byte for byte. */
  url: string;
  platform: Platform;
  /** What `aud` must be. */
  audience: string;
  algorithms: readonly Algorithm[];
  /** Asked in this order: the first that matches decides. */
  rules: readonly IdentityRule[];
}

export type Claims = Readonly<Record<string, unknown>>;

/** A claim that is not as a rule wants it. */
export interface Unmet {
  claim: string;
  /** Its texts; null: it is not there, or is no text. */
  found: readonly string[] | null;
  wanted: readonly Wanted[];
}

/** A rule held against claims: it matches when nothing is unmet. */
export interface RuleTrial {
  rule: IdentityRule;
  unmet: readonly Unmet[];
}

/** What each rule says to these claims, in the order of the file. */
export function tryRules(rules: readonly IdentityRule[], claims: Claims): RuleTrial[] {
  return rules.map((rule) => ({
    rule,
    unmet: [...rule.claims]
      .map(([claim, wanted]) => ({ claim, found: textsOf(claims, claim), wanted }))
      .filter(({ found, wanted }) => !found?.some((text) => wanted.some((one) => matches(one, text)))),
  }));
}

/** The rule that decides; null: none matches, so the caller may do nothing. */
export function decidingRule(trials: readonly RuleTrial[]): IdentityRule | null {
  return trials.find(({ unmet }) => unmet.length === 0)?.rule ?? null;
}

/** `ref is "refs/heads/x", not "refs/heads/main"` */
export function sayUnmet({ claim, found, wanted }: Unmet): string {
  const is = found === null ? 'is not in the token' : `is ${found.map(quoted).join(', ') || 'empty'}`;
  return `${claim} ${is}, not ${wanted.map(sayWanted).join(' or ')}`;
}

export function grantOf(issuer: TrustedIssuer, rule: IdentityRule, claims: Claims): Grant {
  return { actor: actorOf(issuer, claims), scopes: rule.scopes, producers: rule.producers };
}

/** Of each part of an actor. */
const PART_MAX = 200;

/**
 * The name under which a job stands in the audit: which project, which ref and which run, by the ids that the platform never
 * gives to another; and nothing of the person who started it.
 *
 *     github:74/refs/heads/main/run/1658821493.1
 *     gitlab:22/branch/main/job/1212
 *     buildkite:<sub>
 */
export function actorOf({ name, platform }: TrustedIssuer, claims: Claims): string {
  const part = (claim: string): string => partOf(textsOf(claims, claim)?.[0]);
  if (platform === 'github')
    return `${name}:${part('repository_id')}/${part('ref')}/run/${part('run_id')}.${part('run_attempt')}`;
  if (platform === 'gitlab')
    return `${name}:${part('project_id')}/${part('ref_type')}/${part('ref')}/job/${part('job_id')}`;
  return `${name}:${part('sub')}`;
}

function partOf(text: string | undefined): string {
  if (text === undefined || text === '') return '?';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: an actor is one line
  return [...text.toWellFormed().replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?')].slice(0, PART_MAX).join('');
}

/** A text, a whole number or a boolean; or a list of them, of which one is enough. Null: nothing of that. */
function textsOf(claims: Claims, claim: string): string[] | null {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
  const texts = (Array.isArray(value) ? value : [value]).map(textOf);
  return texts.every((text) => text !== null) ? texts : null;
}

function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return typeof value === 'boolean' || Number.isSafeInteger(value) ? String(value) : null;
}

/** Never a part of a text, never a pattern that was not called one. */
function matches(wanted: Wanted, text: string): boolean {
  return typeof wanted === 'string' ? text === wanted : compileGlob(wanted.glob)(text);
}

function sayWanted(wanted: Wanted): string {
  return typeof wanted === 'string' ? quoted(wanted) : `like ${quoted(wanted.glob)}`;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > PART_MAX ? `${text.slice(0, PART_MAX)}…` : text);
}

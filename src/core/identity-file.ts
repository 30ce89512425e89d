import { globProblem } from './glob.ts';
import {
  ALGORITHMS,
  type Algorithm,
  type IdentityRule,
  PLATFORMS,
  type Platform,
  type TrustedIssuer,
  type Wanted,
} from './identity-rules.ts';
import { isLoopbackHost } from './ip-address.ts';
import { grantProblem, isScope, SCOPES, type Scope } from './scopes.ts';
import { TEXT_MAX, textProblem } from './text-problem.ts';

/** The file of identity rules is wrong; the message names issuer, rule and field, and says what to write. */
export class IdentityFileError extends Error {
  override readonly name = 'IdentityFileError';
}

const NAME_MAX = 128;
const VALUE_MAX = 1_024;
/** Whose names stand in front of other actors. */
const TAKEN = ['token', 'admin', 'local'];
/** Checked of every token, whatever the rules say. */
const NOT_FOR_RULES = ['iss', 'aud', 'exp', 'nbf', 'iat', 'jti'];

interface PlatformClaims {
  /** One of them at least, exactly: a name can be given up, and taken by somebody else. */
  ids: readonly string[];
  /** One of them at least: else every branch and every pull request may do what the rule allows. */
  places: readonly string[];
}

/**
 * GitHub: docs.github.com, “OpenID Connect reference”. GitLab: docs.gitlab.com, “OpenID Connect (OIDC) Authentication Using ID
 * Tokens”.
 */
const NEEDED: Record<Platform, PlatformClaims> = {
  github: { ids: ['repository_id', 'repository_owner_id'], places: ['ref', 'environment', 'job_workflow_ref'] },
  gitlab: { ids: ['project_id', 'namespace_id'], places: ['ref', 'environment', 'ci_config_ref_uri'] },
  other: { ids: [], places: [] },
};

/** Issuers that are known to be of a platform, whatever the file calls them. */
const KNOWN: ReadonlyArray<readonly [string, Platform]> = [
  ['https://token.actions.githubusercontent.com', 'github'],
  ['https://gitlab.com', 'gitlab'],
];

/** The issuers that a file of identity rules trusts. @throws IdentityFileError */
export function parseIdentities(text: string): TrustedIssuer[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new IdentityFileError(`is not JSON (${(error as Error).message})`);
  }
  const { issuers } = fieldsOf(parsed, 'the file', ['issuers']);
  const list = listOf(issuers, 'issuers').map((issuer, index) => issuerOf(issuer, `issuers[${index}]`));
  for (const field of ['name', 'url'] as const) {
    const twice = repeated(list.map((issuer) => issuer[field]));
    if (twice !== null) throw new IdentityFileError(`has two issuers with the ${field} ${JSON.stringify(twice)}`);
  }
  return list;
}

function issuerOf(value: unknown, index: string): TrustedIssuer {
  const fields = fieldsOf(value, index, ['name', 'issuer', 'platform', 'audience', 'algorithms', 'rules']);
  const name = lineOf(fields.name, `${index}.name`, NAME_MAX);
  if (!/^[a-z][a-z0-9-]*$/.test(name) || TAKEN.includes(name)) {
    throw wrong(
      `${index}.name`,
      'begins the actor in the audit: write lower-case letters, digits and -, such as "github"',
    );
  }
  const where = `issuer ${JSON.stringify(name)}`;
  const url = issuerUrl(fields.issuer, `${where}: issuer`);
  const platform = platformOf(fields.platform, url, `${where}: platform`);
  const rules = listOf(fields.rules, `${where}: rules`).map((rule, at) => ruleOf(rule, platform, where, at));
  const twice = repeated(rules.map((rule) => rule.name));
  if (twice !== null) throw wrong(where, `has two rules with the name ${JSON.stringify(twice)}`);
  return {
    name,
    url,
    platform,
    audience: audienceOf(fields.audience, platform, `${where}: audience`),
    algorithms: fields.algorithms === undefined ? ['RS256'] : algorithmsOf(fields.algorithms, `${where}: algorithms`),
    rules,
  };
}

function issuerUrl(value: unknown, where: string): string {
  const text = lineOf(value, where, VALUE_MAX);
  const url = URL.canParse(text) ? new URL(text) : null;
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopbackHost(url.hostname));
  if (url === null || !isSafe || /[?#@]/.test(text)) {
    throw wrong(where, `must be the https:// URL that the tokens have as iss, not ${JSON.stringify(text)}`);
  }
  return text;
}

function platformOf(value: unknown, url: string, where: string): Platform {
  const platform = PLATFORMS.find((each) => each === value);
  if (platform === undefined) throw wrong(where, `must be one of ${PLATFORMS.join(', ')}`);
  const known = KNOWN.find(([base]) => url === base || url.startsWith(`${base}/`))?.[1] ?? platform;
  if (known !== platform) throw wrong(where, `must be ${known}: ${url} is`);
  return platform;
}

function audienceOf(value: unknown, platform: Platform, where: string): string {
  if (value === undefined) {
    throw wrong(
      where,
      "is needed: a text that only this service's tokens have, such as its URL, https://store.example",
    );
  }
  const audience = lineOf(value, where, VALUE_MAX);
  if (platform === 'github' && /^https:\/\/github\.com(\/|$)/i.test(audience)) {
    throw wrong(where, "is the default of GitHub, which tokens for other services have too: write this service's own");
  }
  return audience;
}

function algorithmsOf(value: unknown, where: string): Algorithm[] {
  const list = listOf(value, where);
  const algorithms = ALGORITHMS.filter((each) => list.includes(each));
  if (list.length > 0 && algorithms.length === list.length) return algorithms;
  throw wrong(where, `must list some of ${ALGORITHMS.join(', ')}, each once`);
}

function ruleOf(value: unknown, platform: Platform, issuer: string, index: number): IdentityRule {
  const fields = fieldsOf(value, `${issuer}: rules[${index}]`, ['name', 'claims', 'producers', 'scopes']);
  const name = lineOf(fields.name, `${issuer}: rules[${index}].name`, NAME_MAX);
  const where = `${issuer}, rule ${JSON.stringify(name)}`;
  const claims = claimsOf(fields.claims, platform, `${where}: claims`);
  const producers = producersOf(fields.producers, `${where}: producers`);
  const scopes = scopesOf(fields.scopes, `${where}: scopes`);
  const problem = grantProblem({ scopes, producers });
  if (problem !== null) throw wrong(where, problem);
  return { name, claims, producers, scopes };
}

function claimsOf(value: unknown, platform: Platform, where: string): Map<string, readonly Wanted[]> {
  const claims = new Map<string, readonly Wanted[]>();
  for (const [claim, wanted] of Object.entries(objectOf(value, where))) {
    const at = `${where}.${claim}`;
    if (NOT_FOR_RULES.includes(claim)) throw wrong(at, 'is no claim for rules: it is checked of every token');
    const list = Array.isArray(wanted) ? wanted : [wanted];
    if (list.length === 0) throw wrong(at, 'must list at least one text');
    const isId = NEEDED[platform].ids.includes(claim);
    claims.set(
      claim,
      list.map((one) => (isId ? idOf(one, at) : wantedOf(one, at))),
    );
  }
  if (claims.size === 0) throw wrong(where, 'must name at least one claim: everybody has a token of this issuer');
  assertNeeded(claims, platform, where);
  return claims;
}

function assertNeeded(claims: ReadonlyMap<string, unknown>, platform: Platform, where: string): void {
  const { ids, places } = NEEDED[platform];
  if (ids.length > 0 && !ids.some((claim) => claims.has(claim))) {
    throw wrong(
      where,
      `must name ${ids.join(' or ')}: a name can be given up, and taken by somebody else; an id cannot`,
    );
  }
  if (places.length > 0 && !places.some((claim) => claims.has(claim))) {
    const any =
      platform === 'github' ? '"ref": {"glob": "refs/heads/**"}' : '"ref": {"glob": "**"} with "ref_type": "branch"';
    throw wrong(where, `must name ${places.join(' or ')}: else every ref may do this; for every branch write ${any}`);
  }
  if (platform === 'gitlab' && claims.has('ref') !== claims.has('ref_type')) {
    throw wrong(where, 'must name ref and ref_type together: a branch and a tag may have the same name');
  }
}

function idOf(value: unknown, where: string): string {
  if (typeof value === 'string' && /^\d{1,20}$/.test(value)) return value;
  if (typeof value === 'number') throw wrong(where, `must be a text: write "${value}"`);
  throw wrong(where, 'must be an id: digits, as a text, without a glob');
}

function wantedOf(value: unknown, where: string): Wanted {
  if (typeof value === 'object' && value !== null) {
    const glob = lineOf(fieldsOf(value, where, ['glob']).glob, `${where}.glob`, VALUE_MAX);
    // What braces and sets say is said by a list.
    const problem = /[?[\]{}]/.test(glob)
      ? 'may have * and ** only; write a list for more than one'
      : globProblem(glob);
    if (problem !== null) throw wrong(`${where}.glob`, problem);
    return { glob };
  }
  if (typeof value === 'number' || typeof value === 'boolean') throw wrong(where, `must be a text: write "${value}"`);
  const text = lineOf(value, where, VALUE_MAX);
  if (text.includes('*'))
    throw wrong(where, `is compared as it stands: for a pattern write {"glob": ${JSON.stringify(text)}}`);
  return text;
}

function producersOf(value: unknown, where: string): string[] | null {
  if (value === null) return null;
  if (!Array.isArray(value) || value.length === 0) {
    throw wrong(where, 'must list the producers whose packages it is about, or be null: every producer');
  }
  return value.map((one) => lineOf(one, where, TEXT_MAX.producer));
}

function scopesOf(value: unknown, where: string): Scope[] {
  const list = listOf(value, where);
  const unknown = list.find((one) => typeof one !== 'string' || !isScope(one));
  if (list.length === 0 || unknown !== undefined) {
    const what = unknown === undefined ? '' : `, not ${JSON.stringify(unknown)}`;
    throw wrong(where, `must list some of ${SCOPES.join(', ')}${what}`);
  }
  return SCOPES.filter((scope) => list.includes(scope));
}

function fieldsOf(value: unknown, where: string, known: readonly string[]): Record<string, unknown> {
  const fields = objectOf(value, where);
  const unknown = Object.keys(fields).find((name) => !known.includes(name));
  if (unknown === undefined) return fields;
  throw wrong(where, `has the unknown field ${JSON.stringify(unknown)}; known are ${known.join(', ')}`);
}

function objectOf(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw wrong(where, 'must be an object: {…}');
}

function listOf(value: unknown, where: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw wrong(where, 'must be a list: […]');
}

function lineOf(value: unknown, where: string, max: number): string {
  if (typeof value !== 'string') throw wrong(where, value === undefined ? 'is missing' : 'must be a text');
  const problem = textProblem(value, max);
  if (problem !== null) throw wrong(where, problem);
  return value;
}

function repeated(texts: readonly string[]): string | null {
  return texts.find((text, index) => texts.indexOf(text) !== index) ?? null;
}

function wrong(where: string, problem: string): IdentityFileError {
  return new IdentityFileError(`is wrong: ${where} ${problem}`);
}

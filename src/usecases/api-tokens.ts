import { API_TOKEN, actorOfToken } from '../core/api-token.ts';
import { StoreError } from '../core/errors.ts';
import { newId, type TokenId } from '../core/ids.ts';
import { grantProblem, isWithin, type Scope } from '../core/scopes.ts';
import { TIME_MAX } from '../core/time.ts';
import { hashOfToken, isLive } from '../core/token-form.ts';
import type { ApiTokenRecord } from '../registry/api-tokens.ts';
import { grantOfCaller } from './access.ts';
import { recordChange } from './record-change.ts';
import type { Caller, Services } from './services.ts';
import { stopWebhooksOf } from './webhooks.ts';

export interface TokenInput {
  name: string;
  description?: string | undefined;
  scopes: readonly Scope[];
  /** Left out: every producer. */
  producers?: readonly string[] | undefined;
  /** When it ends: a time, or so many ms from now. Left out: never. */
  expires?: { at: number } | { in: number } | undefined;
}

/**
 * Makes a token of the API. Nobody gives what it does not have itself.
 * @returns with the token, which is nowhere else and is never shown again
 * @throws StoreError invalid_scopes, forbidden, not_later
 */
export async function createToken(
  { registry }: Services,
  caller: Caller,
  input: TokenInput,
): Promise<{ record: ApiTokenRecord; token: string }> {
  const scopes = [...new Set(input.scopes)];
  const producers = input.producers === undefined ? null : [...new Set(input.producers)];
  const problem = grantProblem({ scopes, producers });
  if (problem !== null) {
    throw new StoreError('invalid_scopes', `The token ${JSON.stringify(input.name)} ${problem}.`);
  }
  if (!isWithin({ scopes, producers }, grantOfCaller(caller))) {
    throw new StoreError('forbidden', 'A token can have no more scopes than the token that makes it.');
  }
  return registry.transaction(async (tables) => {
    const now = await tables.now();
    const id = newId('tok', now) as TokenId;
    const token = API_TOKEN.create(id);
    const expiresAt = expiryOf(input.expires, now);
    if (expiresAt !== null && expiresAt <= now) {
      throw new StoreError('not_later', 'The token would have expired already: name a later time.');
    }
    await tables.apiTokens.insert({
      id,
      name: input.name,
      description: input.description ?? null,
      token_hash: hashOfToken(token),
      scopes,
      producers,
      created_by: caller.actor,
      created_at: now,
      expires_at: expiresAt,
    });
    const detail = { name: input.name, scopes, producers, expires_at: isoOrNull(expiresAt) };
    await recordChange(tables, caller, { at: now, action: 'token.created', package_id: null, subject_id: id, detail });
    return { record: (await tables.apiTokens.get(id)) as ApiTokenRecord, token };
  });
}

/** The newest first, revoked and expired ones too. @param below ids below this one */
export async function listTokens(
  { registry }: Services,
  below: string | null,
  limit: number,
): Promise<{ tokens: ApiTokenRecord[]; now: number; more: boolean }> {
  const page = await registry.read.apiTokens.page(below, limit + 1);
  return { tokens: page.slice(0, limit), now: await registry.read.now(), more: page.length > limit };
}

/** From now on it opens nothing, on any replica. Again: the same answer. @throws StoreError token_not_found */
export async function revokeToken(
  { registry }: Services,
  caller: Caller,
  id: TokenId,
  reason: string | null,
): Promise<ApiTokenRecord> {
  return registry.transaction(async (tables) => {
    const token = await tables.apiTokens.get(id);
    if (token === null) throw new StoreError('token_not_found', `There is no token ${id}.`);
    if (token.revoked_at !== null) return token;
    const at = await tables.now();
    if (!(await tables.apiTokens.revoke(id, caller.actor, at)))
      return (await tables.apiTokens.get(id)) as ApiTokenRecord;
    const detail = { name: token.name };
    await recordChange(tables, caller, {
      at,
      action: 'token.revoked',
      package_id: null,
      subject_id: id,
      reason,
      detail,
    });
    await stopWebhooksOf(tables, caller, actorOfToken(token), at);
    return (await tables.apiTokens.get(id)) as ApiTokenRecord;
  });
}

/** For those who list tokens. */
export function stateOfToken(token: ApiTokenRecord, now: number): 'active' | 'expired' | 'revoked' {
  if (token.revoked_at !== null) return 'revoked';
  return isLive(token, now) ? 'active' : 'expired';
}

function expiryOf(expires: TokenInput['expires'], now: number): number | null {
  if (expires === undefined) return null;
  return Math.min('at' in expires ? expires.at : now + expires.in, TIME_MAX);
}

function isoOrNull(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}

import * as asked from '../../api/token-requests.ts';
import * as schema from '../../api/tokens.ts';
import type * as wire from '../../api/types.ts';
import { actorOfToken } from '../../core/api-token.ts';
import { parseTokenId } from '../../core/ids.ts';
import { createToken, listTokens, revokeToken, stateOfToken, type TokenInput } from '../../usecases/api-tokens.ts';
import type { ApiTokenRecord } from '../../usecases/records.ts';
import { iso, isoOrNull } from '../present.ts';
import { type Route, route } from '../route.ts';

export const tokenRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/tokens',
    operationId: 'createToken',
    summary:
      'Makes a token with some scopes, for all producers or some; the answer shows it, and nothing shows it again',
    tag: 'Access',
    body: asked.CreateToken,
    answers: { 201: schema.NewToken },
    async handle(services, { body, caller }) {
      const { expires_at, expires_in, ...input } = body;
      const expires = expiryOf(expires_at, expires_in);
      const { record, token } = await createToken(services, caller, { ...input, expires });
      const headers = { 'Cache-Control': 'no-store' };
      return { status: 201, body: { ...present(record, record.created_at), token }, headers };
    },
  }),

  route({
    method: 'get',
    path: '/v1/tokens',
    operationId: 'listTokens',
    summary: 'Tokens, the newest first, without their secrets; revoked and expired ones too',
    tag: 'Access',
    query: asked.ListTokens,
    answers: { 200: schema.TokenList },
    async handle(services, { query, operationId }) {
      const below = query.cursor === undefined ? null : (services.cursors.decode(operationId, query.cursor) as string);
      const { tokens, now, more } = await listTokens(services, below, query.limit);
      const last = tokens.at(-1);
      return {
        status: 200,
        body: {
          items: tokens.map((token) => present(token, now)),
          next_cursor: more && last ? services.cursors.encode(operationId, last.id) : null,
        },
      };
    },
  }),

  route({
    method: 'delete',
    path: '/v1/tokens/{id}',
    operationId: 'revokeToken',
    summary: 'Revokes a token: from now on it opens nothing',
    tag: 'Access',
    body: asked.RevokeToken,
    bodyOrQuery: true,
    answers: { 200: schema.Token },
    async handle(services, { params, body, caller }) {
      const token = await revokeToken(services, caller, parseTokenId(params.id as string), body?.reason ?? null);
      return { status: 200, body: present(token, await services.registry.read.now()) };
    },
  }),
];

function expiryOf(at: string | undefined, seconds: number | undefined): TokenInput['expires'] {
  if (at !== undefined) return { at: Date.parse(at) };
  return seconds === undefined ? undefined : { in: seconds * 1_000 };
}

function present(token: ApiTokenRecord, now: number): wire.Token {
  const { id, name, description, scopes, producers, created_by, revoked_by } = token;
  return {
    id,
    name,
    description,
    scopes,
    producers,
    actor: actorOfToken(token),
    state: stateOfToken(token, now),
    created_at: iso(token.created_at),
    created_by,
    expires_at: isoOrNull(token.expires_at),
    last_used_at: isoOrNull(token.last_used_at),
    revoked_at: isoOrNull(token.revoked_at),
    revoked_by,
  };
}

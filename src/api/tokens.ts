import * as z from 'zod/mini';
import { list, time } from './fields.ts';

/** A token of the API, without its secret. */
export const Token = z.object({
  id: z.string(),
  name: z.string(),
  description: z.nullable(z.string()),
  scopes: z.array(z.string()),
  producers: z.nullable(z.array(z.string())).check(z.describe('whose packages exist for it; null: all')),
  actor: z.string().check(z.describe('how it stands in the audit')),
  state: z.enum(['active', 'expired', 'revoked']),
  created_at: time,
  created_by: z.string(),
  expires_at: z.nullable(time).check(z.describe('null: never')),
  last_used_at: z.nullable(time).check(z.describe('at most a minute older than the last use; null: not yet')),
  revoked_at: z.nullable(time),
  revoked_by: z.nullable(z.string()),
});

export const NewToken = z.extend(Token, {
  token: z.string().check(z.describe('the token itself, shown this once')),
});

export const TokenList = list(Token);

import type * as wire from '../../../src/api/types.ts';
import { type JsonCalls, type PageQuery, packagePath } from './json-calls.ts';

export type AccessCalls = ReturnType<typeof accessCalls>;

/** Tokens, and links that show a package to people without one. */
export function accessCalls(calls: JsonCalls) {
  return {
    createToken: (body: wire.CreateToken): Promise<wire.NewToken> =>
      calls.post('newToken', '/v1/tokens', body, { once: true }),

    tokens: (page: PageQuery = {}): Promise<wire.TokenList> => calls.list('tokens', '/v1/tokens', { ...page }),

    revokeToken: (id: string, reason?: string): Promise<wire.Token> =>
      calls.remove('token', `/v1/tokens/${encodeURIComponent(id)}`, reason),

    createShare: (id: string, body: wire.CreateShare): Promise<wire.NewShare> =>
      calls.post('newShare', `${packagePath(id)}/shares`, body, { once: true }),

    shares: (id: string, page: PageQuery = {}): Promise<wire.ShareList> =>
      calls.list('shares', `${packagePath(id)}/shares`, { ...page }),

    revokeShare: (id: string, reason?: string): Promise<wire.Share> =>
      calls.remove('share', `/v1/shares/${encodeURIComponent(id)}`, reason),
  };
}

import { API_TOKEN, actorOfToken } from '../core/api-token.ts';
import type { TokenId } from '../core/ids.ts';
import type { Grant } from '../core/scopes.ts';
import { isLive, isToken } from '../core/token-form.ts';
import type { Registry } from '../registry/registry.ts';
import type { Log } from './services.ts';

/** How old the time of the last use may be before it is written again. */
const USE_NOTED_MS = 60_000;

export interface ApiTokenGrants {
  /** Read from the registry each time, so that a revocation counts at once. Null: no token of the API that can be used. */
  grantOf(bearer: string): Promise<Grant | null>;
  /** Ends when every use was noted. */
  close(): Promise<void>;
}

export function apiTokenGrants(registry: Registry, log: Log): ApiTokenGrants {
  /** What is being written, so that many requests at once are one write. */
  const noting = new Map<TokenId, Promise<void>>();

  /** In nobody's way: whoever uses the token does not wait for it, and a failure is no failure of the request. */
  function noteUse(id: TokenId, now: number): void {
    if (noting.has(id)) return;
    const write = registry
      .transaction(({ apiTokens }) => apiTokens.noteUse(id, now, USE_NOTED_MS))
      .catch((err) => log.warn({ err, token: id }, 'the use of a token could not be noted'))
      .finally(() => noting.delete(id));
    noting.set(id, write);
  }

  return {
    async grantOf(bearer) {
      const id = API_TOKEN.idOf(bearer);
      if (id === null) return null;
      const [token, now] = await Promise.all([registry.read.apiTokens.get(id), registry.read.now()]);
      if (!isToken(bearer, token?.token_hash ?? null) || token === null || !isLive(token, now)) return null;
      if (now - (token.last_used_at ?? 0) > USE_NOTED_MS) noteUse(id, now);
      return { actor: actorOfToken(token), scopes: token.scopes, producers: token.producers };
    },
    close: async () => void (await Promise.all(noting.values())),
  };
}

import { createHash, timingSafeEqual } from 'node:crypto';
import { StoreError } from '../core/errors.ts';
import { everything, type Grant } from '../core/scopes.ts';
import { assertScope } from '../usecases/access.ts';
import type { Openness } from '../usecases/openness.ts';
import { type Caller, callerOf } from '../usecases/services.ts';
import type { RouteAccess, ShownTo } from './route-scopes.ts';

/** What a bearer token allows; null: it is none of this kind, the next of the list is asked. */
export type GrantOf = (bearer: string) => Promise<Grant | null>;

export interface Authentication {
  /** Who asks by this `Authorization` header, and may. @throws StoreError unauthenticated, forbidden */
  caller(authorization: string | undefined, access: RouteAccess): Promise<Caller>;
  /** The same, of what everybody may see as long as no tokens are in use. @throws StoreError unauthenticated, forbidden */
  assertShown(authorization: string | undefined, to: ShownTo): Promise<void>;
  /** Whether a request is answered that has no bearer. */
  isOpen(): Promise<boolean>;
}

/**
 * Bearer tokens (RFC 6750), each shown to every kind in turn.
 * @param kinds the admin token first, then the tokens of the API, then what else there is
 */
export function authentication(kinds: readonly GrantOf[], openness: Openness): Authentication {
  async function grantOf(authorization: string | undefined): Promise<Grant> {
    const bearer = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    if (bearer !== undefined) {
      for (const kind of kinds) {
        const grant = await kind(bearer);
        if (grant !== null) return grant;
      }
    }
    if (await openness.isOpen()) return everything('local');
    throw new StoreError(
      'unauthenticated',
      bearer === undefined
        ? 'Send Authorization: Bearer <token> (the command line takes it from ARTIFACT_STORE_TOKEN).'
        : 'The bearer token is not one of this service, has expired or was revoked.',
    );
  }

  async function caller(authorization: string | undefined, access: RouteAccess): Promise<Caller> {
    if (access === 'open' || access === 'signed') return callerOf({ actor: access, scopes: [], producers: [] });
    const known = callerOf(await grantOf(authorization));
    if (access !== 'token') assertScope(known, ...access);
    return known;
  }

  return {
    caller,
    async assertShown(authorization, { access, whole }) {
      // What tells that the registry is away must not need it.
      if (!(await openness.hasTokens().catch(() => openness.hadTokens()))) return;
      const { reads } = await caller(authorization, access);
      if (whole && !('all' in reads)) {
        throw new StoreError('forbidden', 'This is about all producers: it needs a token without a limit to some.');
      }
    },
    isOpen: openness.isOpen,
  };
}

/** The admin token's grant: everything. */
export function adminTokenGrant(adminToken: string): GrantOf {
  const expected = sha256(adminToken);
  // Digests have one length whatever the token's, so the time taken tells nothing of it.
  return async (bearer) => (timingSafeEqual(sha256(bearer), expected) ? everything('admin') : null);
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

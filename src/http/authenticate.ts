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
  /** Who asks by this `Authorization` header, whatever it may do; of what needs none, nobody is known. @throws StoreError unauthenticated */
  caller(authorization: string | undefined, access: RouteAccess): Promise<Caller>;
  /** Who looks at what everybody may see as long as no tokens are in use; null: they are not. @throws StoreError unauthenticated */
  viewer(authorization: string | undefined): Promise<Caller | null>;
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
    return callerOf(await grantOf(authorization));
  }

  return {
    caller,
    async viewer(authorization) {
      // What tells that the registry is away must not need it.
      const isAsked = await openness.hasTokens().catch(() => openness.hadTokens());
      return isAsked ? callerOf(await grantOf(authorization)) : null;
    },
    isOpen: openness.isOpen,
  };
}

/** Apart from who asks, so that whoever may not is counted before it is told so. @throws StoreError forbidden */
export function assertAllowed(caller: Caller, access: RouteAccess): void {
  if (typeof access !== 'string') assertScope(caller, ...access);
}

/** @param viewer null: everybody may see it @throws StoreError forbidden */
export function assertShown(viewer: Caller | null, { access, whole }: ShownTo): void {
  if (viewer === null) return;
  assertAllowed(viewer, access);
  if (whole && !('all' in viewer.reads)) {
    throw new StoreError('forbidden', 'This is about all producers: it needs a token without a limit to some.');
  }
}

/** Whether whoever asks by this `Authorization` header may see it. Never throws: the registry may be away. */
export async function isShown(
  authentication: Authentication,
  authorization: string | undefined,
  to: ShownTo,
): Promise<boolean> {
  try {
    assertShown(await authentication.viewer(authorization), to);
    return true;
  } catch {
    return false;
  }
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

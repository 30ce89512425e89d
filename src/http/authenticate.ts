import { createHash, timingSafeEqual } from 'node:crypto';
import { StoreError } from '../core/errors.ts';
import type { Caller } from '../usecases/services.ts';

/** Who sends this `Authorization` header? @throws StoreError unauthenticated */
export type Authenticate = (authorization: string | undefined) => Caller;

/**
 * With an admin token: a bearer token (RFC 6750) that equals it. Without one: everybody, and the service serves
 * loopback only.
 */
export function authenticator(adminToken: string | null): Authenticate {
  if (adminToken === null) return () => ({ actor: 'local', reads: { all: true } });
  const expected = sha256(adminToken);
  return (authorization) => {
    const token = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    // Digests have one length whatever the token's, so the time taken tells nothing of it.
    if (token !== undefined && timingSafeEqual(sha256(token), expected))
      return { actor: 'admin', reads: { all: true } };
    throw new StoreError(
      'unauthenticated',
      token === undefined
        ? 'Send Authorization: Bearer <token> (the command line takes it from ARTIFACT_STORE_TOKEN).'
        : 'The bearer token is not one of this service.',
    );
  };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

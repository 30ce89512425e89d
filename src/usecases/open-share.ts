import { StoreError } from '../core/errors.ts';
import { actorOfShare, SHARE_TOKEN } from '../core/share-token.ts';
import { isLive, isToken } from '../core/token-form.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ShareRecord } from '../registry/shares.ts';
import { type Caller, callerOf, type Services } from './services.ts';

/** What a link shows, and for whom it is read. */
export interface OpenShare {
  share: ShareRecord;
  pkg: PackageRecord;
  /** Reads this package, and is asked for no other. */
  caller: Caller;
}

/**
 * What a link shows now. One that was mistyped, has expired or was revoked, or whose package is gone, is answered the same.
 * @throws StoreError share_not_found
 */
export async function openShare({ registry }: Services, token: string): Promise<OpenShare> {
  const { read } = registry;
  const id = SHARE_TOKEN.idOf(token);
  const [share, now] = await Promise.all([id === null ? null : read.shares.get(id), read.now()]);
  if (!isToken(token, share?.token_hash ?? null) || share === null || !isLive(share, now)) throw noShare();
  const pkg = await read.packages.get(share.package_id);
  if (pkg === null || pkg.status !== 'finalized') throw noShare();
  const actor = actorOfShare(share.id);
  return { share, pkg, caller: callerOf({ actor, scopes: ['packages:read'], producers: [pkg.producer] }) };
}

export function noShare(): StoreError {
  return new StoreError('share_not_found', 'This link shows nothing: it was mistyped, has expired, or was revoked.');
}

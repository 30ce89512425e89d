import { StoreError } from '../core/errors.ts';
import { newId, type PackageId, type ShareId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { assertReadable } from '../core/package-state.ts';
import { SHARE_TOKEN } from '../core/share-token.ts';
import { TIME_MAX } from '../core/time.ts';
import { hashOfToken, isLive } from '../core/token-form.ts';
import type { ShareRecord } from '../registry/shares.ts';
import { lockPackage, readPackage } from './access.ts';
import { fileDeleted } from './file-deleted.ts';
import { recordChange } from './record-change.ts';
import type { Caller, Services } from './services.ts';

/** Of a share that nobody names an end for, ms. */
const USUAL_LIFE_MS = 7 * 86_400_000;

export interface ShareInput {
  /** Of the one file that it shows; undefined: the whole package. */
  path?: LogicalPath | undefined;
  note?: string | undefined;
  /** When it ends: a time, or so many ms from now. */
  expires?: { at: number } | { in: number } | undefined;
}

/**
 * Makes a link by which whoever has it reads a finalized package, or one file of it, until it ends.
 * @returns with the token, which is nowhere else and is never shown again
 * @throws StoreError package_not_found, package_not_finalized, package_deleted, file_not_found, file_deleted, not_later, share_too_long
 */
export async function createShare(
  { registry, limits }: Services,
  caller: Caller,
  packageId: PackageId,
  { path, note, expires = { in: USUAL_LIFE_MS } }: ShareInput,
): Promise<{ record: ShareRecord; token: string }> {
  return registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, packageId);
    assertReadable(pkg);
    if (pkg.finalized_at === null) {
      throw new StoreError(
        'package_not_finalized',
        `${packageId} is ${pkg.status}: it can be shared once it is finalized.`,
      );
    }
    if (path !== undefined) {
      const file = await tables.files.get(packageId, path);
      if (!file) throw new StoreError('file_not_found', `${packageId} has no file ${JSON.stringify(path)}.`, { path });
      if (file.deleted_at !== null) throw await fileDeleted(tables, packageId, path);
    }
    const now = await tables.now();
    const expiresAt = Math.min('at' in expires ? expires.at : now + expires.in, TIME_MAX);
    if (expiresAt <= now) {
      throw new StoreError('not_later', 'The share would have expired already: name a later time.');
    }
    if (expiresAt > now + limits.share_lifetime_max * 1_000) {
      const days = limits.share_lifetime_max / 86_400;
      throw new StoreError('share_too_long', `A share ends after ${days} days at the latest: name an earlier time.`);
    }
    const id = newId('shr', now) as ShareId;
    const token = SHARE_TOKEN.create(id);
    await tables.shares.insert({
      id,
      token_hash: hashOfToken(token),
      package_id: packageId,
      path: path ?? null,
      note: note ?? null,
      created_by: caller.actor,
      created_at: now,
      expires_at: expiresAt,
    });
    const detail = { path: path ?? null, note: note ?? null, expires_at: new Date(expiresAt).toISOString() };
    await recordChange(tables, caller, {
      at: now,
      action: 'share.created',
      package_id: packageId,
      subject_id: id,
      detail,
    });
    return { record: (await tables.shares.get(id)) as ShareRecord, token };
  });
}

/** Of a package, the newest first, revoked and expired ones too. @param below ids below this one @throws StoreError package_not_found */
export async function listShares(
  { registry }: Services,
  caller: Caller,
  packageId: PackageId,
  below: string | null,
  limit: number,
): Promise<{ shares: ShareRecord[]; now: number; more: boolean }> {
  await readPackage(registry.read, caller, packageId);
  const page = await registry.read.shares.page(packageId, below, limit + 1);
  return { shares: page.slice(0, limit), now: await registry.read.now(), more: page.length > limit };
}

/** From now on it shows nothing, on any replica. Again: the same answer. @throws StoreError share_not_found */
export async function revokeShare(
  { registry }: Services,
  caller: Caller,
  id: ShareId,
  reason: string | null,
): Promise<ShareRecord> {
  return registry.transaction(async (tables) => {
    const share = await tables.shares.get(id);
    const pkg = share && (await tables.packages.get(share.package_id, caller.reads));
    if (!share || !pkg) throw new StoreError('share_not_found', `There is no share ${id}.`);
    if (share.revoked_at !== null) return share;
    const at = await tables.now();
    if (!(await tables.shares.revoke(id, caller.actor, at))) return (await tables.shares.get(id)) as ShareRecord;
    await recordChange(tables, caller, {
      at,
      action: 'share.revoked',
      package_id: share.package_id,
      subject_id: id,
      reason,
      detail: { path: share.path },
    });
    return (await tables.shares.get(id)) as ShareRecord;
  });
}

/** For those who list shares. */
export function stateOfShare(share: ShareRecord, now: number): 'active' | 'expired' | 'revoked' {
  if (share.revoked_at !== null) return 'revoked';
  return isLive(share, now) ? 'active' : 'expired';
}

import type { PackageId } from '../core/ids.ts';
import { LIVING_STATUSES, nextStatus } from '../core/package-state.ts';
import { assertDeletable } from '../core/retention.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { Tables } from '../registry/registry.ts';
import { lockPackage } from './access.ts';
import { recordChange, recordRetention } from './record.ts';
import type { Caller, Services } from './services.ts';

/** The producer gives up. Again: the same answer. @throws StoreError package_sealed, package_deleted */
export async function failPackage(
  services: Services,
  caller: Caller,
  id: PackageId,
  reason: string,
): Promise<PackageRecord> {
  return services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, id);
    if (pkg.status === 'failed') return pkg;
    const status = nextStatus(pkg, 'fail');
    await tables.packages.update(id, { status, reason });
    await letGo(tables, pkg);
    const at = await tables.now();
    await recordChange(tables, caller, { at, action: 'package.failed', package_id: id, reason });
    return (await tables.packages.get(id)) as PackageRecord;
  });
}

/**
 * Leaves a tombstone: the package is gone, its bytes stay until a sweep finds that nothing needs them. Finalized packages
 * only when eligible. Again: the same answer. @throws StoreError held, retention_active
 */
export async function deletePackage(
  services: Services,
  caller: Caller,
  id: PackageId,
  reason: string,
): Promise<PackageRecord> {
  return services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, id);
    if (pkg.status === 'deleted') return pkg;
    const status = nextStatus(pkg, 'delete');
    const holds = (await tables.retention.holds(id)).filter((hold) => hold.released_at === null);
    const now = await tables.now();
    assertDeletable(pkg, holds, now);
    await tables.packages.update(id, { status, reason, deleted_at: now });
    await letGo(tables, pkg);
    await recordRetention(tables, caller, {
      package_id: id,
      action: 'deleted',
      at: now,
      reason,
      expires_before: pkg.expires_at,
    });
    await recordChange(tables, caller, {
      at: now,
      action: 'package.deleted',
      package_id: id,
      reason,
      detail: { status: pkg.status, manifest_digest: pkg.manifest_digest },
    });
    return (await tables.packages.get(id)) as PackageRecord;
  });
}

/** Uploads end, and the external id goes back to the package that this one superseded, if that one still lives. */
async function letGo(tables: Tables, pkg: PackageRecord): Promise<void> {
  await tables.uploads.abortAll(pkg.id);
  if (pkg.supersedes === null || pkg.superseded_by !== null) return;
  const old = await tables.packages.lock(pkg.supersedes);
  const lives = old !== null && (LIVING_STATUSES as readonly string[]).includes(old.status);
  if (lives && old.superseded_by === pkg.id) await tables.packages.update(old.id, { superseded_by: null });
}

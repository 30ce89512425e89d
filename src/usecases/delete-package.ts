import { newId, type PackageId } from '../core/ids.ts';
import { nextStatus } from '../core/package-state.ts';
import { assertDeletable } from '../core/retention.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { Tables } from '../registry/registry.ts';
import { abortOpen } from './abort-upload.ts';
import { lockPackage, readPackage } from './access.ts';
import { decide } from './decide.ts';
import { recordChange, recordRetention } from './record-change.ts';
import { giveBack } from './revisions.ts';
import type { Caller, Services, WithDecisions } from './services.ts';
import { assertDecisionsKnown, assertNotFinalized } from './standing-manifest.ts';

/**
 * Leaves a tombstone: the package is gone, its bytes stay until a sweep finds that nothing needs them. Finalized packages
 * only when eligible. Again: the same answer. @throws StoreError held, retention_active, registry_older
 */
export async function deletePackage(
  services: Services<WithDecisions>,
  caller: Caller,
  id: PackageId,
  reason: string,
): Promise<PackageRecord> {
  const seen = await readPackage(services.registry.read, caller, id);
  // What an older registry takes for unfinished may be preserved.
  if (seen.status !== 'deleted' && seen.sealed_at === null) await assertNotFinalized(services, id);
  if (seen.status !== 'deleted') await assertDecisionsKnown(services, id);
  return decide(services, id, async (tables) => {
    const pkg = await lockPackage(tables, caller, id);
    if (pkg.status === 'deleted') return pkg;
    const status = nextStatus(pkg, 'delete');
    const holds = (await tables.retention.holds(id)).filter((hold) => hold.released_at === null);
    const now = await tables.now();
    assertDeletable(pkg, holds, now);
    await tables.packages.update(id, { status, reason, deleted_at: now });
    await tables.files.dropExpiring(id);
    await giveBack(tables, pkg);
    const uploads_aborted = await abortOpen(tables, caller, id, { reason: 'The package was deleted.' });
    await giveBackUse(tables, pkg);
    const event = { package_id: id, action: 'deleted' as const, at: now, reason, expires_before: pkg.expires_at };
    const finalized = pkg.finalized_at !== null;
    const receipt = newId('evt', now);
    const decision = await recordRetention(tables, caller, event, { finalized, receipt: finalized ? receipt : null });
    await recordChange(tables, caller, {
      id: receipt,
      at: now,
      action: 'package.deleted',
      package_id: id,
      subject_id: decision.id,
      reason,
      detail: { status: pkg.status, manifest_digest: pkg.manifest_digest, uploads_aborted },
    });
    return (await tables.packages.get(id)) as PackageRecord;
  });
}

/** What the package had of its producer's quota; one that failed has given it back already. */
async function giveBackUse(tables: Tables, { id, producer, status, ...pkg }: PackageRecord): Promise<void> {
  if (status === 'failed') return;
  if (status !== 'finalized') {
    await tables.usage.change(producer, { reserved_bytes: -pkg.total_size, open_packages: -1 });
    return;
  }
  const removed = pkg.deleted_file_count === 0 ? 0 : await tables.files.deletedBytes(id);
  await tables.usage.change(producer, { used_bytes: removed - pkg.total_size });
}

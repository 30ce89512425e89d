import type { WrittenObject } from '../blobs/blob-store.ts';
import { manifestKey } from '../blobs/key-layout.ts';
import { newId, type PackageId } from '../core/ids.ts';
import { nextStatus } from '../core/package-state.ts';
import { expiryAtFinalize } from '../core/retention.ts';
import type { ExpiringFiles } from '../registry/expiring-files.ts';
import type { PackageRecord } from '../registry/packages.ts';
import { lockPackage } from './access.ts';
import { addAttestation, writeAttestation } from './attest.ts';
import { countExpiring } from './count-expiring.ts';
import { decide, tellStorage } from './decide.ts';
import { recordChange, recordRetention } from './record-change.ts';
import { takeOver } from './revisions.ts';
import { type Expected, sealPackage } from './seal-package.ts';
import type { Caller, Services, WithDecisions } from './services.ts';
import { writeManifest } from './write-manifest.ts';

/**
 * Seals a package permanently. Transaction 1 freezes its files and fixes `finalized_at`; the manifest is written,
 * and signed; transaction 2 flips the status, and what the package revises is superseded. After a crash in between, or with a
 * second caller, the same manifest is found or written, so both simply continue. Again on a finalized package: the same
 * answer.
 * @throws StoreError files_missing, count_mismatch, list_mismatch, package_empty, already_superseded, package_failed, …
 */
export async function finalizePackage(
  services: Services<WithDecisions>,
  caller: Caller,
  id: PackageId,
  expected: Expected = {},
): Promise<PackageRecord> {
  const sealed = await sealPackage(services, caller, id, expected);
  if (sealed.status !== 'finalized') {
    const manifest = await writeManifest(services, sealed);
    const attestation = await writeAttestation(services, sealed, manifest);
    return flip(services, caller, id, { manifest, attestation }, await countExpiring(services.registry.read, sealed));
  }
  await tellStorage(services, id);
  return sealed;
}

/** Transaction 2. */
async function flip(
  services: Services<WithDecisions>,
  caller: Caller,
  id: PackageId,
  { manifest, attestation }: Record<'manifest' | 'attestation', WrittenObject>,
  expiring: readonly ExpiringFiles[],
): Promise<PackageRecord> {
  return decide(services, id, async (tables) => {
    const pkg = await lockPackage(tables, caller, id);
    if (pkg.status === 'finalized') return pkg;
    const status = nextStatus(pkg, 'finalize');
    const finalizedAt = pkg.sealed_at as number;
    const expiresAt = expiryAtFinalize(pkg.expires_at, finalizedAt, pkg.retention_days);
    await tables.blobs.addObject({
      id: newId('obj', finalizedAt),
      kind: 'manifest',
      key: manifestKey(id),
      version_id: manifest.versionId,
      digest: manifest.digest,
      size: manifest.size,
      stored: null,
      created_at: finalizedAt,
    });
    await addAttestation(tables, id, attestation, newId('obj', finalizedAt));
    // Before: an external id names one current package at any time.
    await takeOver(tables, pkg);
    await tables.packages.update(id, {
      status,
      finalized_at: finalizedAt,
      expires_at: expiresAt,
      manifest_digest: manifest.digest,
      manifest_size: manifest.size,
    });
    await tables.files.addExpiring(id, expiring);
    const bytes = pkg.total_size;
    await tables.usage.change(pkg.producer, { used_bytes: bytes, reserved_bytes: -bytes, open_packages: -1 });
    // The one who sealed it finalized it, even if recovery had to finish the work.
    const actor = { ...caller, actor: pkg.sealed_by ?? caller.actor };
    await recordRetention(tables, actor, {
      package_id: id,
      action: 'finalized',
      at: finalizedAt,
      expires_before: pkg.expires_at,
      expires_after: expiresAt,
    });
    await recordChange(tables, actor, {
      at: await tables.now(),
      action: 'package.finalized',
      package_id: id,
      detail: {
        manifest_digest: manifest.digest,
        attestation_digest: attestation.digest,
        file_count: pkg.file_count,
        total_size: pkg.total_size,
      },
    });
    return (await tables.packages.get(id)) as PackageRecord;
  });
}

import type { WrittenObject } from '../blobs/blob-store.ts';
import { type ObjectKey, ownerOf } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { isStoreError } from '../core/errors.ts';
import { emptyFixityReport } from '../core/fixity-report.ts';
import type { PackageId } from '../core/ids.ts';
import type { DamagedObject } from '../registry/damaged-objects.ts';
import type { PackageRecord } from '../registry/packages.ts';
import { attestationDigest, writeAttestation } from './attest.ts';
import { checkAll, paced } from './fixity.ts';
import { manifestDigest } from './manifest-rows.ts';
import { recordChange } from './record-change.ts';
import type { Caller, Services, WithObjects } from './services.ts';
import { writeManifest } from './write-manifest.ts';

export interface RepairedManifests {
  /** Written again, and read: they are right. */
  repaired: PackageId[];
  /** The registry does not give the same bytes: another version of this software wrote them. */
  kept: PackageId[];
}

const PAGE = 100;

/**
 * Writes manifests again that are damaged or gone, out of the registry: only where that gives the bytes that seal the package. What
 * stands there is replaced, since a manifest's key is its package's. @throws StoreError unavailable
 */
export async function repairManifests(services: Services<WithObjects>, caller: Caller): Promise<RepairedManifests> {
  const { signal } = new AbortController();
  const done: RepairedManifests = { repaired: [], kept: [] };
  for (let after = 0; ; ) {
    const objects = await services.registry.read.damaged.list(after, PAGE);
    for (const object of objects) {
      const owner = ownerOf(object.key as ObjectKey);
      if (owner?.kind !== 'manifest' && owner?.kind !== 'attestation') continue;
      const isRight = await repair(services, caller, object, owner.packageId, signal);
      (isRight ? done.repaired : done.kept).push(owner.packageId);
    }
    if (objects.length < PAGE) return done;
    after = objects.at(-1)?.no ?? after;
  }
}

async function repair(
  services: Services<WithObjects>,
  caller: Caller,
  object: DamagedObject,
  packageId: PackageId,
  signal: AbortSignal,
): Promise<boolean> {
  const { registry, blobs } = services;
  const pkg = await registry.read.packages.get(packageId);
  const made = pkg === null ? null : await makeAgain(services, pkg, object.kind);
  if (made === null || made.digest !== object.digest) return false;
  const key = object.key as ObjectKey;
  let standing = await made.write().catch((error: unknown) => {
    if (!isStoreError(error, 'integrity_failure')) throw error;
    return null;
  });
  if (standing?.digest !== object.digest) {
    // What stands there is wrong, and was read twice. If this ends here, the manifest is gone, and the next repair writes it. If it is
    // locked it is only hidden.
    await blobs.objects.remove({ key, versionId: null });
    standing = await made.write();
  }
  await nameVersion(services, object, packageId, standing.versionId);
  const report = emptyFixityReport();
  const [again] = await registry.read.checks.getAmong([object.id]);
  if (again !== undefined) await checkAll(services, caller, [again], paced(services, null, signal), report, signal);
  if (report.good !== 1) return false;
  await registry.transaction(async (tables) => {
    const { id, kind, digest, size } = object;
    const detail = { kind, digest, size };
    await recordChange(tables, caller, {
      at: await tables.now(),
      action: 'object.repaired',
      package_id: packageId,
      subject_id: id,
      detail,
    });
  });
  return true;
}

/** Null: it has none. */
async function makeAgain(
  services: Services<WithObjects>,
  pkg: PackageRecord,
  kind: DamagedObject['kind'],
): Promise<{ digest: Digest; write: () => Promise<WrittenObject> } | null> {
  const { manifest_digest: digest, manifest_size: size } = pkg;
  if (digest === null || size === null) return null;
  if (kind === 'manifest')
    return { digest: await manifestDigest(services.registry.read, pkg), write: () => writeManifest(services, pkg) };
  const seal = { digest, size };
  return { digest: await attestationDigest(services, pkg, seal), write: () => writeAttestation(services, pkg, seal) };
}

/** What was written is another version than the damaged one, and is not locked yet. */
async function nameVersion(
  { registry }: Services,
  object: DamagedObject,
  packageId: PackageId,
  versionId: string | null,
): Promise<void> {
  const [known] = (await registry.read.blobs.getObjects([object.id])).values();
  if (known === undefined || known.version_id === versionId) return;
  await registry.transaction(async ({ blobs, locks }) => {
    await blobs.setVersion(object.id, versionId);
    await locks.want([packageId]);
  });
}

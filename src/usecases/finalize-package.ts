import { manifestKey } from '../blobs/key-layout.ts';
import { type Digest, digestHex } from '../core/digest.ts';
import { isStoreError, StoreError } from '../core/errors.ts';
import { newId, type PackageId } from '../core/ids.ts';
import { type ManifestFile, type ManifestPackage, manifestChunks } from '../core/manifest.ts';
import { nextStatus } from '../core/package-state.ts';
import { expiryAtFinalize } from '../core/retention.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { Tables } from '../registry/registry.ts';
import { lockPackage } from './access.ts';
import { recordChange, recordRetention } from './record.ts';
import type { Caller, Services } from './services.ts';

export interface FinalizeInput {
  file_count?: number | undefined;
  total_size?: number | undefined;
}

const MISSING_SHOWN = 100;
const MANIFEST_PAGE = 2_000;

/**
 * Seals a package for ever. Transaction 1 freezes its files and fixes `finalized_at`; the manifest is written; transaction
 * 2 flips the status. A crash in between, or a second caller, writes the same bytes under the same key, so both may
 * simply go on. Again on a finalized package: the same answer.
 * @throws StoreError files_missing, count_mismatch, package_empty, package_failed, package_deleted
 */
export async function finalizePackage(
  services: Services,
  caller: Caller,
  id: PackageId,
  expected: FinalizeInput = {},
): Promise<PackageRecord> {
  const sealed = await seal(services, caller, id, expected);
  if (sealed.status === 'finalized') return sealed;
  const manifest = await services.blobs.writeObject(
    manifestKey(id),
    manifestChunks(manifestPackage(sealed), manifestFiles(services.registry.read, id)),
  );
  try {
    return await flip(services, caller, id, manifest);
  } catch (error) {
    // Deleted meanwhile: a manifest that stays would say that it was finalized.
    if (isStoreError(error, 'package_deleted')) {
      await services.blobs.removeObject({ key: manifestKey(id), versionId: null });
    }
    throw error;
  }
}

/** Transaction 2. */
async function flip(
  services: Services,
  caller: Caller,
  id: PackageId,
  manifest: { digest: Digest; size: number },
): Promise<PackageRecord> {
  return services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, id);
    if (pkg.status === 'finalized') return pkg;
    const status = nextStatus(pkg, 'finalize');
    const finalizedAt = pkg.sealed_at as number;
    const expiresAt = expiryAtFinalize(pkg.expires_at, finalizedAt, pkg.retention_days);
    await tables.blobs.addObject({
      id: newId('obj', finalizedAt),
      kind: 'manifest',
      key: manifestKey(id),
      version_id: null,
      digest: manifest.digest,
      size: manifest.size,
      created_at: finalizedAt,
    });
    await tables.packages.update(id, {
      status,
      finalized_at: finalizedAt,
      expires_at: expiresAt,
      manifest_digest: manifest.digest,
      manifest_size: manifest.size,
    });
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
      detail: { manifest_digest: manifest.digest, file_count: pkg.file_count, total_size: pkg.total_size },
    });
    return (await tables.packages.get(id)) as PackageRecord;
  });
}

async function seal(
  services: Services,
  caller: Caller,
  id: PackageId,
  expected: FinalizeInput,
): Promise<PackageRecord> {
  return services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, id);
    if (pkg.status === 'finalized') {
      assertCounts(pkg, expected);
      return pkg;
    }
    nextStatus(pkg, 'finalize');
    if (pkg.sealed_at !== null) {
      assertCounts(pkg, expected);
      return pkg;
    }
    const missing = await tables.files.missing(id, MISSING_SHOWN + 1);
    if (missing.length > 0) {
      const more = missing.length > MISSING_SHOWN ? ` (the first ${MISSING_SHOWN} are named)` : '';
      throw new StoreError(
        'files_missing',
        `Files of ${id} have no bytes yet${more}: upload them, then finalize again.`,
        {
          paths: missing.slice(0, MISSING_SHOWN),
        },
      );
    }
    const totals = await tables.files.totals(id);
    assertCounts({ id, ...totals }, expected);
    if (totals.file_count === 0) {
      throw new StoreError('package_empty', `${id} has no files: register some, or delete it.`);
    }
    const now = await tables.now();
    await tables.packages.update(id, { ...totals, sealed_at: now, sealed_by: caller.actor });
    // Every file is proven: what is still open nobody needs.
    const uploads_aborted = await tables.uploads.abortAll(id);
    await recordChange(tables, caller, {
      at: now,
      action: 'package.sealed',
      package_id: id,
      detail: { ...totals, uploads_aborted },
    });
    return (await tables.packages.get(id)) as PackageRecord;
  });
}

function assertCounts(pkg: { id: PackageId; file_count: number; total_size: number }, expected: FinalizeInput): void {
  for (const field of ['file_count', 'total_size'] as const) {
    const wanted = expected[field];
    if (wanted === undefined || wanted === pkg[field]) continue;
    throw new StoreError('count_mismatch', `${pkg.id} has the ${field} ${pkg[field]}, not ${wanted}.`, {
      errors: [{ field, message: `is ${pkg[field]}` }],
    });
  }
}

function manifestPackage(pkg: PackageRecord): ManifestPackage {
  return {
    id: pkg.id,
    name: pkg.name,
    producer: pkg.producer,
    subject: pkg.subject,
    external_id: pkg.external_id,
    supersedes: pkg.supersedes,
    created_at: new Date(pkg.created_at).toISOString(),
    finalized_at: new Date(pkg.sealed_at as number).toISOString(),
    retention_class: pkg.retention_class,
    metadata: pkg.metadata,
  };
}

async function* manifestFiles(tables: Tables, id: PackageId): AsyncGenerator<ManifestFile[]> {
  let after: string | null = null;
  while (true) {
    const page = await tables.files.page(id, after, MANIFEST_PAGE);
    if (page.length === 0) return;
    after = page.at(-1)?.path ?? null;
    yield page.map((file) => ({
      path: file.path,
      sha256: digestHex(file.digest),
      size: file.size,
      media_type: file.media_type,
      ...(file.mtime === null ? {} : { mtime: file.mtime }),
      ...(file.executable ? { executable: true as const } : {}),
    }));
  }
}

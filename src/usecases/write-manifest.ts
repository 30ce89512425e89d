import type { WrittenObject } from '../blobs/blob-store.ts';
import { manifestKey } from '../blobs/key-layout.ts';
import { isStoreError } from '../core/errors.ts';
import type { PackageRecord } from '../registry/packages.ts';
import { manifestOf } from './manifest-rows.ts';
import type { Services, WithObjects } from './services.ts';
import { readStanding } from './standing-manifest.ts';

/**
 * Writes the manifest of a sealed package under its key, or finds it there: whoever seals it again, after a crash or at
 * the same time, writes the same bytes. Another version of this software may have written different bytes before it was
 * stopped; its manifest counts if it says the same of the package and its files.
 * @throws StoreError integrity_failure when something else stands there
 */
export async function writeManifest(services: Services<WithObjects>, sealed: PackageRecord): Promise<WrittenObject> {
  const key = manifestKey(sealed.id);
  try {
    return await services.blobs.objects.write(key, manifestOf(services.registry.read, sealed));
  } catch (error) {
    const standing = isStoreError(error, 'integrity_failure') ? await readStanding(services, sealed) : null;
    if (standing === null) throw error;
    services.log.warn({ package: sealed.id }, 'the manifest was written by another version, and stays as it is');
    return standing;
  }
}

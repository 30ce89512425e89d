import type { Readable } from 'node:stream';
import type { ByteRange, SignedRequest } from '../blobs/blob-store.ts';
import { manifestKey, type ObjectKey } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { isStoreError, StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { assertReadable } from '../core/package-state.ts';
import type { FileRecord } from '../registry/files.ts';
import { readPackage } from './access.ts';
import type { Caller, Services } from './services.ts';

/** A file that can be read. `open` is called for the bytes, with a range inside the file; null: there are none. */
export interface ReadableFile {
  file: FileRecord;
  open(range?: ByteRange): Promise<Readable | null>;
  /** A signed request for the whole file, straight from storage; null when there is nothing to fetch. */
  sign(): Promise<SignedRequest | null>;
}

/** @throws StoreError file_not_found, files_missing (registered, but its bytes are not here), package_deleted */
export async function readFile(
  services: Services,
  caller: Caller,
  packageId: PackageId,
  path: LogicalPath,
): Promise<ReadableFile> {
  const tables = services.registry.read;
  const pkg = await readPackage(tables, caller, packageId);
  assertReadable(pkg);
  const file = await tables.files.get(packageId, path);
  if (!file) throw new StoreError('file_not_found', `${packageId} has no file ${JSON.stringify(path)}.`, { path });
  if (!file.proven) {
    throw new StoreError('files_missing', `The bytes of ${JSON.stringify(path)} have not been uploaded yet.`, {
      path,
      paths: [path],
    });
  }
  return {
    file,
    async open(range) {
      if (file.size === 0) return null;
      // By the digest that was promised: the path may name other bytes by now.
      const location = await tables.blobs.locate(file.digest);
      if (!location) {
        throw new StoreError('integrity_failure', `The bytes of ${JSON.stringify(path)} have no location.`, { path });
      }
      const wanted = range ?? { offset: 0, size: file.size };
      const { key, version_id, object_id } = location;
      const object = { key, version_id, name: `object ${object_id}` };
      return openStored(services, object, { offset: location.offset + wanted.offset, size: wanted.size });
    },
    async sign() {
      const location = await tables.blobs.locate(file.digest);
      // Of lost bytes the service has more to say than storage; and bytes amid an object need a Range header, which a redirect
      // cannot give.
      if (location?.state !== 'live' || location.offset !== 0 || location.object_size !== file.size) return null;
      const expiresAt = (await tables.now()) + services.limits.url_lifetime * 1_000;
      const ref = { key: location.key as ObjectKey, versionId: location.version_id };
      return services.blobs.signDownload(ref, { objectId: location.object_id, expiresAt });
    },
  };
}

/** The exact bytes of the manifest. @throws StoreError package_not_finalized, package_deleted */
export async function readManifest(
  services: Services,
  caller: Caller,
  packageId: PackageId,
): Promise<{ digest: Digest; size: number; open(): Promise<Readable> }> {
  const pkg = await readPackage(services.registry.read, caller, packageId);
  assertReadable(pkg);
  if (pkg.manifest_digest === null || pkg.manifest_size === null) {
    throw new StoreError(
      'package_not_finalized',
      `${packageId} is ${pkg.status}: it has a manifest once it is finalized.`,
    );
  }
  const manifest = { key: manifestKey(packageId) as string, version_id: null, name: `manifest of ${packageId}` };
  return {
    digest: pkg.manifest_digest,
    size: pkg.manifest_size,
    open: () => openStored(services, manifest),
  };
}

/**
 * Opens what the registry says is stored: absence is no question of a wrong address, bytes were lost.
 * @param name of the object, for whoever asked: an id, never a place
 */
async function openStored(
  services: Services,
  { key, version_id, name }: { key: string; version_id: string | null; name: string },
  range?: ByteRange,
): Promise<Readable> {
  try {
    return await services.blobs.openObject({ key: key as ObjectKey, versionId: version_id }, range);
  } catch (error) {
    if (isStoreError(error, 'object_not_found')) {
      throw new StoreError('integrity_failure', `The ${name} is gone from storage.`, {}, { cause: error });
    }
    // The registry knows how long the object is: storage has other bytes.
    if (isStoreError(error, 'range_not_satisfiable')) {
      throw new StoreError('integrity_failure', `The ${name} is shorter than it was.`, {}, { cause: error });
    }
    throw error;
  }
}

/** An object's bytes, for a signed URL of the local folder. @throws StoreError object_not_found */
export async function readObject(
  services: Services,
  objectId: string,
): Promise<{ size: number; digest: Digest; open(range?: ByteRange): Promise<Readable> }> {
  const object = await services.registry.read.blobs.getObject(objectId);
  if (!object) throw new StoreError('object_not_found', `There is no object ${objectId.slice(0, 100)}.`);
  const { key, version_id, size, digest } = object;
  return {
    size,
    digest,
    open: (range) => openStored(services, { key, version_id, name: `object ${objectId}` }, range),
  };
}

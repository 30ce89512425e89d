import type { SignedRequest } from '../blobs/blob-store.ts';
import type { ObjectKey } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { assertReadable } from '../core/package-state.ts';
import type { FileRecord } from '../registry/files.ts';
import { readPackage } from './access.ts';
import type { Caller, Services } from './services.ts';

export interface PlannedDownload {
  /** Null: the entries are empty files, there is nothing to fetch. */
  request: SignedRequest | null;
  size: number;
  entries: Array<{ path: LogicalPath; digest: Digest; offset: number; size: number }>;
}

/**
 * Signed requests for the files' bytes, each object named once a page. Files whose bytes are not here are left out of a
 * whole package, and are an error when asked for by path.
 * @throws StoreError file_not_found, files_missing, package_deleted
 */
export async function planDownloads(
  services: Services,
  caller: Caller,
  packageId: PackageId,
  page: { paths: readonly LogicalPath[] } | { after: string | null; limit: number },
): Promise<{ downloads: PlannedDownload[]; next: string | null }> {
  const tables = services.registry.read;
  assertReadable(await readPackage(tables, caller, packageId));
  const files =
    'paths' in page
      ? await filesAt(services, packageId, page.paths)
      : await tables.files.page(packageId, page.after, page.limit);
  const readable = files.filter((file) => file.proven);
  const locations = await tables.files.locate(
    packageId,
    readable.filter((file) => file.size > 0).map((file) => file.path),
  );
  const objects = await tables.blobs.getObjects([...new Set(locations.map((location) => location.object_id))]);
  const expiresAt = (await tables.now()) + services.limits.url_lifetime * 1_000;
  const downloads = new Map<string, PlannedDownload>();
  for (const { object_id, path, digest, offset, size } of locations) {
    const object = objects.get(object_id);
    if (!object) throw new StoreError('integrity_failure', `Object ${object_id} is not in the registry.`, { path });
    let download = downloads.get(object_id);
    if (!download) {
      const ref = { key: object.key as ObjectKey, versionId: object.version_id };
      const request = await services.blobs.signDownload(ref, { objectId: object_id, expiresAt });
      download = { request, size: object.size, entries: [] };
      downloads.set(object_id, download);
    }
    download.entries.push({ path, digest, offset, size });
  }
  const empty = readable.filter((file) => file.size === 0);
  const last = files.at(-1);
  return {
    downloads: [...downloads.values(), ...(empty.length === 0 ? [] : [emptyFiles(empty)])],
    next: 'limit' in page && last && files.length === page.limit ? last.path : null,
  };
}

async function filesAt(services: Services, packageId: PackageId, paths: readonly LogicalPath[]): Promise<FileRecord[]> {
  const found = await services.registry.read.files.atPaths(packageId, paths);
  const files = paths.map((path) => {
    const file = found.get(path);
    if (!file) throw new StoreError('file_not_found', `${packageId} has no file ${JSON.stringify(path)}.`, { path });
    return file;
  });
  const missing = files.find((file) => !file.proven);
  if (missing) {
    throw new StoreError('files_missing', `The bytes of ${JSON.stringify(missing.path)} have not been uploaded yet.`, {
      path: missing.path,
      paths: [missing.path],
    });
  }
  return files;
}

function emptyFiles(files: readonly FileRecord[]): PlannedDownload {
  const entries = files.map(({ path, digest }) => ({ path, digest, offset: 0, size: 0 }));
  return { request: null, size: 0, entries };
}

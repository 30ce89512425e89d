import type { ByteRange, SignedRequest } from '../blobs/blob-store.ts';
import type { ObjectKey } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import { type Encoding, FRAME_ENTRY_SIZE } from '../core/frame-table.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { sizeInPack } from '../core/pack.ts';
import { assertReadable, bytesFreed } from '../core/package-state.ts';
import { FRAMES_TOLD_MAX } from '../core/zstd-frame.ts';
import type { FileLocation, FileRecord } from '../registry/files.ts';
import { readPackage } from './access.ts';
import { fileDeleted } from './file-deleted.ts';
import type { Caller, Services, WithReader } from './services.ts';
import { urlExpiry } from './sign-parts.ts';

/** Of the files without good bytes, so many are named. */
const LOST_SHOWN = 100;

/** One request, and the files that its answer holds. */
export interface PlannedDownload {
  /** Null: the entries are empty files, there is nothing to fetch. */
  request: SignedRequest | null;
  /** How many bytes the request answers. */
  size: number;
  /** The encoded frame table of an answer in frames; null: the answer is what the entries say. */
  frames: Buffer | null;
  entries: DownloadEntry[];
}

export interface DownloadEntry {
  path: LogicalPath;
  digest: Digest;
  /** Of the file's first byte in the answer's content. */
  offset: number;
  size: number;
}

/**
 * Signed requests for the files' bytes, each object listed once per page. A pack is signed as a whole only for callers
 * that may read every blob in it; for others, only the ranges that they may read. Frames are signed only for callers
 * that decode them; others get the content from this service. Files whose bytes are not here, or that were removed, are left out of a
 * whole package, and are an error when asked for by path.
 * @throws StoreError file_not_found, files_missing, package_failed, package_deleted, file_deleted, integrity_failure
 */
export async function planDownloads(
  services: Services<WithReader>,
  caller: Caller,
  packageId: PackageId,
  page: DownloadsPage,
): Promise<PlannedDownloads> {
  // Somebody may have removed a file, or the package, after its files were listed: looking again tells that from damage.
  const planned = await plan(services, caller, packageId, page);
  const again = 'notLocated' in planned ? await plan(services, caller, packageId, page) : planned;
  if (!('notLocated' in again)) return again;
  throw noGoodBytes(again.notLocated);
}

/** @param paths at least one */
function noGoodBytes(paths: readonly LogicalPath[]): StoreError {
  const [path = ''] = paths;
  const others = paths.length === 1 ? '' : `, and of ${paths.length - 1} more`;
  return new StoreError(
    'integrity_failure',
    `The store has no good bytes of ${JSON.stringify(path)}${others}: they are damaged or gone, and there is no other copy.`,
    { path, paths: paths.slice(0, LOST_SHOWN) },
  );
}

type DownloadsPage = ({ paths: readonly LogicalPath[] } | { after: string | null; limit: number }) & {
  encodings?: readonly Encoding[];
};

interface PlannedDownloads {
  downloads: PlannedDownload[];
  next: string | null;
}

/** @returns `notLocated`: proven bytes that no object holds, or that were removed meanwhile */
async function plan(
  services: Services<WithReader>,
  caller: Caller,
  packageId: PackageId,
  page: DownloadsPage,
): Promise<PlannedDownloads | { notLocated: LogicalPath[] }> {
  const tables = services.registry.read;
  const pkg = await readPackage(tables, caller, packageId);
  assertReadable(pkg);
  const files =
    'paths' in page
      ? await filesAt(services, packageId, page.paths)
      : await tables.files.page(packageId, page.after, page.limit);
  const readable = files.filter((file) => file.proven && file.deleted_at === null);
  const wanted = readable.filter((file) => file.size > 0).map((file) => file.path);
  // Before it is known where the bytes are: what is condemned after that stays for as long.
  const expiresAt = await urlExpiry(services);
  const locations = await tables.files.locate(packageId, wanted);
  const missing = notLocated(wanted, locations);
  const [path] = missing;
  if (path !== undefined && pkg.status !== 'failed') return { notLocated: missing };
  if (path !== undefined && 'paths' in page) throw bytesFreed(pkg, path);
  const empty = readable.filter((file) => file.size === 0);
  const last = files.at(-1);
  return {
    downloads: [
      ...(await requestsFor(services, caller, packageId, locations, { expiresAt, encodings: page.encodings ?? [] })),
      ...(empty.length === 0 ? [] : [emptyFiles(empty)]),
    ],
    next: 'limit' in page && last && files.length === page.limit ? last.path : null,
  };
}

/** Proven bytes that no object holds are damage, which must not look like a smaller package: unless it failed, and nothing needs them. */
function notLocated(wanted: readonly LogicalPath[], locations: readonly FileLocation[]): LogicalPath[] {
  const located = new Set(locations.map(({ path }) => path));
  return wanted.filter((one) => !located.has(one));
}

/** @param locations ordered by object and offset @param expiresAt of the URLs, ms @param encodings that the caller decodes */
async function requestsFor(
  services: Services<WithReader>,
  caller: Caller,
  packageId: PackageId,
  locations: readonly FileLocation[],
  { expiresAt, encodings }: { expiresAt: number; encodings: readonly Encoding[] },
): Promise<PlannedDownload[]> {
  const { blobs } = services.registry.read;
  const byObject = Map.groupBy(locations, (location) => location.object_id);
  const ids = [...byObject.keys()];
  const objects = await blobs.getObjects(ids);
  const packs = ids.filter((id) => objects.get(id)?.kind === 'pack');
  const whole = await blobs.whollyReadable(caller.reads, packageId, packs);
  const decodable = ids.filter((id) => encodings.includes(objects.get(id)?.encoding ?? 'identity'));
  const tables = told(await blobs.frames(decodable));
  const downloads: PlannedDownload[] = [];
  for (const [objectId, entries] of byObject) {
    const object = objects.get(objectId);
    if (!object) throw new StoreError('integrity_failure', `Object ${objectId} is not in the registry.`);
    const ref = { key: object.key as ObjectKey, versionId: object.version_id };
    const frames = tables.get(objectId) ?? null;
    const asStored = object.encoding === 'identity' || frames !== null;
    if (asStored && (object.kind !== 'pack' || whole.has(objectId))) {
      const request = await services.blobs.objects.signDownload(ref, { objectId, expiresAt });
      downloads.push({ request, size: object.stored_size, frames, entries: entries.map((entry) => entryAt(entry, 0)) });
      continue;
    }
    for (const { offset, size, entries: within } of adjoining(entries)) {
      const download = { objectId, expiresAt, range: { offset, size } };
      // Of frames this service gives the content: a stored range would show what else is in them.
      const inFrames = object.encoding !== 'identity';
      const request = inFrames
        ? services.signRange(download)
        : await services.blobs.objects.signDownload(ref, download);
      downloads.push({ request, size, frames: null, entries: within.map((entry) => entryAt(entry, offset)) });
    }
  }
  return downloads;
}

/** The first frame tables, as far as they fit into one answer: they may be of thousands of large objects. */
function told(tables: ReadonlyMap<string, Buffer>): Map<string, Buffer> {
  let left = FRAMES_TOLD_MAX * FRAME_ENTRY_SIZE;
  return new Map(
    [...tables].filter(([, { length }]) => {
      left -= length;
      return left >= 0;
    }),
  );
}

function entryAt({ path, digest, offset, size }: FileLocation, start: number): DownloadEntry {
  return { path, digest, offset: offset - start, size };
}

/** The ranges of a pack that these entries take up; what stands next to each other is one range. */
function adjoining(entries: readonly FileLocation[]): Array<ByteRange & { entries: FileLocation[] }> {
  const ranges: Array<ByteRange & { entries: FileLocation[] }> = [];
  for (const entry of entries) {
    const range = ranges.at(-1);
    const before = range?.entries.at(-1);
    if (range && before && nextOffset(before) >= entry.offset) {
      range.size = entry.offset + entry.size - range.offset;
      range.entries.push(entry);
    } else {
      ranges.push({ offset: entry.offset, size: entry.size, entries: [entry] });
    }
  }
  return ranges;
}

/** Where the bytes of the member that follows stand. */
function nextOffset({ offset, size }: FileLocation): number {
  return offset + sizeInPack(size);
}

async function filesAt(services: Services, packageId: PackageId, paths: readonly LogicalPath[]): Promise<FileRecord[]> {
  const found = await services.registry.read.files.atPaths(packageId, paths);
  const files = paths.map((path) => {
    const file = found.get(path);
    if (!file) throw new StoreError('file_not_found', `${packageId} has no file ${JSON.stringify(path)}.`, { path });
    return file;
  });
  const deleted = files.find((file) => file.deleted_at !== null);
  if (deleted) throw await fileDeleted(services.registry.read, packageId, deleted.path);
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
  return { request: null, size: 0, frames: null, entries };
}

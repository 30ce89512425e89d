import type { JsonObject } from '../core/canonical-json.ts';
import { StoreError } from '../core/errors.ts';
import { allBehind, type LogicalPath, type PathConflict } from '../core/logical-path.ts';
import { nextStatus } from '../core/package-state.ts';
import { assertPackageFits, assertWithinQuota, type Quotas } from '../core/quotas.ts';
import type { FileRecord } from '../registry/files.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { Tables } from '../registry/registry.ts';
import { recordChange } from './record-change.ts';
import type { Caller } from './services.ts';

const DEFAULT_MEDIA_TYPE = 'application/octet-stream';

/**
 * A file to put: what the request left out stays as it is, when the path has these bytes already.
 * @param proven whose bytes are known to be there
 */
export type NewFile = Pick<FileRecord, 'path' | 'digest' | 'size' | 'proven'> &
  Partial<{ [Field in 'media_type' | 'mtime' | 'executable']: FileRecord[Field] | undefined }>;

/**
 * Puts files into a locked package by the rules of paths, keeps its counts, reserves their bytes, and audits. For files that are registered,
 * and for one that came through the service and is proven by its own bytes. @returns the files as they stand now
 */
export async function placeFiles(
  tables: Tables,
  caller: Caller,
  quotas: Quotas,
  pkg: PackageRecord,
  files: readonly NewFile[],
  mayReplace: (path: LogicalPath) => boolean,
): Promise<FileRecord[]> {
  const status = nextStatus(pkg, 'register');
  const paths = files.map((file) => file.path);
  // Who pushes a directory sends its files in order: most batches stand behind all that came before.
  const last = await tables.files.lastKey(pkg.id);
  const meetsNone = last === null || allBehind(last, paths);
  const existing = meetsNone ? new Map<LogicalPath, FileRecord>() : await tables.files.atPaths(pkg.id, paths);
  const changed: FileRecord[] = [];
  let bytes = 0;
  const replaced: JsonObject[] = [];
  const result = files.map((file) => {
    const old = existing.get(file.path);
    const next = complete(file, old);
    if (old && sameFile(old, next)) return old;
    if (old && !sameBytes(old, next) && !mayReplace(file.path)) {
      throw duplicateError(old);
    }
    if (old && !sameBytes(old, next)) replaced.push({ path: old.path, digest: old.digest, size: old.size });
    changed.push(next);
    bytes += next.size - (old?.size ?? 0);
    return next;
  });
  if (pkg.total_size + bytes > Number.MAX_SAFE_INTEGER) {
    throw new StoreError('size_mismatch', `${pkg.id} would have more than ${Number.MAX_SAFE_INTEGER} bytes.`);
  }
  const added = changed.filter((file) => !existing.has(file.path));
  assertPackageFits(quotas, pkg, { files: added.length, bytes });
  if (added.length > 0 && !meetsNone) {
    const conflict = await tables.files.findConflict(
      pkg.id,
      added.map((file) => file.path),
    );
    if (conflict) throw conflictError(conflict);
  }
  if (changed.length > 0) await tables.files.put(pkg.id, changed);
  if (status !== pkg.status) await tables.packages.update(pkg.id, { status });
  if (changed.length > 0) {
    await tables.packages.changeFiles(pkg.id, added.length, bytes);
    await reserve(tables, quotas, pkg, bytes);
    await recordChange(tables, caller, {
      at: await tables.now(),
      action: 'package.files_registered',
      package_id: pkg.id,
      detail: { files: changed.length, added: added.length, replaced },
    });
  }
  return result;
}

/** For files of an open package. @throws StoreError quota_exceeded */
async function reserve(tables: Tables, quotas: Quotas, { producer }: PackageRecord, bytes: number): Promise<void> {
  if (bytes === 0) return;
  assertWithinQuota(quotas, await tables.usage.change(producer, { reserved_bytes: bytes }), bytes);
}

function complete(file: NewFile, old: FileRecord | undefined): FileRecord {
  const known = old && sameBytes(old, file) ? old : undefined;
  return {
    path: file.path,
    digest: file.digest,
    size: file.size,
    media_type: file.media_type ?? known?.media_type ?? DEFAULT_MEDIA_TYPE,
    mtime: file.mtime ?? known?.mtime ?? null,
    executable: file.executable ?? known?.executable ?? false,
    proven: file.proven || (known?.proven ?? false),
    lost: !file.proven && (known?.lost ?? false),
    deleted_at: null,
  };
}

function sameBytes(a: FileRecord, b: Pick<FileRecord, 'digest' | 'size'>): boolean {
  return a.digest === b.digest && a.size === b.size;
}

function sameFile(a: FileRecord, b: FileRecord): boolean {
  const sameProperties = a.media_type === b.media_type && a.mtime === b.mtime && a.executable === b.executable;
  return sameBytes(a, b) && sameProperties && a.proven === b.proven && a.lost === b.lost;
}

/** Of a path that another file has. */
export function duplicateError({ path, digest }: Pick<FileRecord, 'path' | 'digest'>): StoreError {
  return new StoreError(
    'duplicate_path',
    `The package has another file under ${JSON.stringify(path)}: say "replace": true to put this one in its place.`,
    { path, digest },
  );
}

export function conflictError({ path, other, kind }: Pick<PathConflict, 'path' | 'other' | 'kind'>): StoreError {
  const why =
    kind === 'same_after_nfc'
      ? 'they are the same text after Unicode normalization (NFC), so many file systems would make one file of them'
      : 'one is the folder of the other';
  return new StoreError('path_conflict', `${JSON.stringify(path)} conflicts with ${JSON.stringify(other)}: ${why}.`, {
    path,
    other_path: other,
  });
}

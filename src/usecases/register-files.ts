import type { JsonObject } from '../core/canonical-json.ts';
import { type Digest, EMPTY_DIGEST } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import type { Limits } from '../core/limits.ts';
import { allBehind, findConflict, type LogicalPath, type PathConflict } from '../core/logical-path.ts';
import { nextStatus } from '../core/package-state.ts';
import type { FileRecord } from '../registry/files.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { Tables } from '../registry/registry.ts';
import { lockPackage } from './access.ts';
import { recordChange } from './record.ts';
import type { Caller, Services } from './services.ts';

export interface FileInput {
  path: LogicalPath;
  digest: Digest;
  size: number;
  media_type?: string | undefined;
  mtime?: string | undefined;
  executable?: boolean | undefined;
  /** May take the place of a file with another digest. */
  replace?: boolean | undefined;
}

export const DEFAULT_MEDIA_TYPE = 'application/octet-stream';

/**
 * Registers a batch of files: all of them or none. Each is `stored` when it is proven at once and its bytes are
 * not lost, else `missing`: they must be sent. @throws StoreError duplicate_path, path_conflict, size_mismatch, package_sealed, …
 */
export async function registerFiles(
  services: Services,
  caller: Caller,
  packageId: PackageId,
  inputs: readonly FileInput[],
): Promise<FileRecord[]> {
  assertBatch(inputs, services.limits);
  return services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, packageId);
    const provable = await tables.files.provableBy(caller.reads, packageId, inputs);
    const files = inputs.map((input) => toNewFile(input, provable.get(input.digest) === input.size));
    const replacing = new Set(inputs.filter((input) => input.replace).map((input) => input.path));
    return putFiles(tables, caller, pkg, files, (path) => replacing.has(path));
  });
}

/**
 * Puts files into a locked package by the rules of paths, keeps its counts, and audits. Shared with the upload through
 * the service, whose file is proven by its own bytes. @returns the files as they stand now
 */
export async function putFiles(
  tables: Tables,
  caller: Caller,
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
      throw new StoreError(
        'duplicate_path',
        `The package has another file under ${JSON.stringify(file.path)}: say "replace": true to put this one in its place.`,
        { path: file.path, digest: old.digest },
      );
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
    await recordChange(tables, caller, {
      at: await tables.now(),
      action: 'package.files_registered',
      package_id: pkg.id,
      detail: { files: changed.length, added: added.length, replaced },
    });
  }
  return result;
}

/**
 * A file to put: what the request left out stays as it is, when the path has these bytes already.
 * @param proven whose bytes are known to be there
 */
export type NewFile = Pick<FileRecord, 'path' | 'digest' | 'size' | 'proven'> &
  Partial<{ [Field in 'media_type' | 'mtime' | 'executable']: FileRecord[Field] | undefined }>;

function toNewFile(input: FileInput, provable: boolean): NewFile {
  // The empty file needs no bytes, so nothing has to be proven.
  return { ...input, proven: provable || input.digest === EMPTY_DIGEST };
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
  };
}

function sameBytes(a: FileRecord, b: Pick<FileRecord, 'digest' | 'size'>): boolean {
  return a.digest === b.digest && a.size === b.size;
}

function sameFile(a: FileRecord, b: FileRecord): boolean {
  const sameProperties = a.media_type === b.media_type && a.mtime === b.mtime && a.executable === b.executable;
  return sameBytes(a, b) && sameProperties && a.proven === b.proven && a.lost === b.lost;
}

function assertBatch(inputs: readonly FileInput[], { object_size_max }: Limits): void {
  for (const { path, digest, size } of inputs) {
    if (size > object_size_max) {
      throw new StoreError(
        'size_mismatch',
        `${JSON.stringify(path)} has ${size} bytes; a file has at most ${object_size_max}.`,
        {
          path,
          digest,
        },
      );
    }
    if ((digest === EMPTY_DIGEST) !== (size === 0)) {
      throw new StoreError(
        'size_mismatch',
        `${JSON.stringify(path)} cannot have ${size} bytes and the digest ${digest}.`,
        {
          path,
          digest,
        },
      );
    }
  }
  const conflict = findConflict(inputs.map((input) => input.path));
  if (!conflict) return;
  if (conflict.kind !== 'same_path') throw conflictError(conflict);
  throw new StoreError('duplicate_path', `${JSON.stringify(conflict.path)} stands twice in the request.`, {
    path: conflict.path,
  });
}

function conflictError({ path, other, kind }: Pick<PathConflict, 'path' | 'other' | 'kind'>): StoreError {
  const why =
    kind === 'same_after_nfc'
      ? 'they are the same text after Unicode normalization (NFC), so many file systems would make one file of them'
      : 'one is the folder of the other';
  return new StoreError(
    'path_conflict',
    `${JSON.stringify(path)} cannot stand beside ${JSON.stringify(other)}: ${why}.`,
    { path, other_path: other },
  );
}

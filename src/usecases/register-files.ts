import { type Digest, EMPTY_DIGEST } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import type { Limits } from '../core/limits.ts';
import { findConflict, type LogicalPath } from '../core/logical-path.ts';
import type { FileRecord } from '../registry/files.ts';
import { lockPackage } from './access.ts';
import { knownBytes } from './known-bytes.ts';
import { conflictError, type NewFile, placeFiles } from './place-files.ts';
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

/**
 * Registers a batch of files: all of them or none. Each is `stored` when it is proven at once and its bytes are
 * not lost, else `missing`: they must be sent. @throws StoreError duplicate_path, path_conflict, size_mismatch, package_sealed, too_many_files,
 * package_too_large, quota_exceeded, …
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
    const known = await knownBytes(tables, caller, packageId, inputs);
    const files = inputs.map((input) => toNewFile(input, known.get(input.digest) === input.size));
    const replacing = new Set(inputs.filter((input) => input.replace).map((input) => input.path));
    return placeFiles(tables, caller, services.quotas, pkg, files, (path) => replacing.has(path));
  });
}

function toNewFile(input: FileInput, known: boolean): NewFile {
  // The empty file needs no bytes, so nothing has to be proven.
  return { ...input, proven: known || input.digest === EMPTY_DIGEST };
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
  throw new StoreError('duplicate_path', `${JSON.stringify(conflict.path)} appears twice in the request.`, {
    path: conflict.path,
  });
}

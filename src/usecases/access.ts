import { StoreError } from '../core/errors.ts';
import type { PackageId, UploadId } from '../core/ids.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import { mayRead } from '../registry/reads.ts';
import type { Tables } from '../registry/registry.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import type { Caller } from './services.ts';

/** A package that the caller may not read is answered as one that does not exist. */
function orNotFound(pkg: PackageRecord | null, caller: Caller, id: PackageId): PackageRecord {
  if (pkg && mayRead(caller.reads, pkg)) return pkg;
  throw new StoreError('package_not_found', `There is no package ${id}.`);
}

/** @throws StoreError package_not_found */
export async function readPackage(tables: ReadTables, caller: Caller, id: PackageId): Promise<PackageRecord> {
  return orNotFound(await tables.packages.get(id), caller, id);
}

/** The same, holding the package row's lock until the transaction ends. @throws StoreError package_not_found */
export async function lockPackage(tables: Tables, caller: Caller, id: PackageId): Promise<PackageRecord> {
  return orNotFound(await tables.packages.lock(id), caller, id);
}

/** One that belongs to no package is for those who may read everything. @throws StoreError upload_not_found */
export async function readUpload(tables: ReadTables, caller: Caller, id: UploadId): Promise<{ upload: UploadRecord }> {
  const upload = await tables.uploads.get(id);
  if (upload?.package_id === null && 'all' in caller.reads) return { upload };
  const pkg = upload?.package_id && (await tables.packages.get(upload.package_id));
  if (upload && pkg && mayRead(caller.reads, pkg)) return { upload };
  throw new StoreError('upload_not_found', `There is no upload ${id}.`);
}

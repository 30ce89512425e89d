import { StoreError } from '../core/errors.ts';
import type { PackageId, UploadId } from '../core/ids.ts';
import { allows, type Grant, type Scope } from '../core/scopes.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import type { Reads } from '../registry/reads.ts';
import type { Tables } from '../registry/registry.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import type { Caller } from './services.ts';

/** What the caller may do, without who it is. */
export function grantOfCaller({ scopes, reads }: Caller): Pick<Grant, 'scopes' | 'producers'> {
  return { scopes, producers: 'all' in reads ? null : reads.producers };
}

/** @throws StoreError forbidden, naming what would do */
export function assertScope(caller: Caller, ...anyOf: readonly Scope[]): void {
  const grant = grantOfCaller(caller);
  if (anyOf.some((scope) => allows(grant, scope))) return;
  throw new StoreError('forbidden', `This needs a token with the scope ${anyOf.join(' or ')}.`, { scopes: anyOf });
}

/**
 * In whose packages bytes prove that the caller has a right to them: those that it may read. Who may only write has none
 * (invariant 7): what it reads of a package, it has sent.
 */
export function provesBytes({ reads, scopes }: Caller): Reads {
  return scopes.includes('packages:read') ? reads : { producers: [] };
}

/** A package that the caller may not read is answered as one that does not exist. */
function orNotFound(pkg: PackageRecord | null, id: PackageId): PackageRecord {
  if (pkg) return pkg;
  throw new StoreError('package_not_found', `There is no package ${id}.`);
}

/** @throws StoreError package_not_found */
export async function readPackage(tables: ReadTables, caller: Caller, id: PackageId): Promise<PackageRecord> {
  return orNotFound(await tables.packages.get(id, caller.reads), id);
}

/** The same, holding the package row's lock until the transaction ends. @throws StoreError package_not_found */
export async function lockPackage(tables: Tables, caller: Caller, id: PackageId): Promise<PackageRecord> {
  return orNotFound(await tables.packages.lock(id, caller.reads), id);
}

/**
 * One that belongs to no package is for operators; the others, for those who write the package.
 * @throws StoreError upload_not_found, forbidden
 */
export async function readUpload(tables: ReadTables, caller: Caller, id: UploadId): Promise<{ upload: UploadRecord }> {
  const upload = await tables.uploads.get(id, caller.reads);
  if (upload === null) throw new StoreError('upload_not_found', `There is no upload ${id}.`);
  assertScope(caller, upload.package_id === null ? 'operator' : 'packages:write');
  return { upload };
}

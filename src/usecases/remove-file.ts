import { StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { nextStatus } from '../core/package-state.ts';
import { assertScope, lockPackage, readPackage } from './access.ts';
import { checkDeletion, deleteFiles } from './delete-files.ts';
import { recordChange } from './record-change.ts';
import type { Caller, Services, WithDecisions } from './services.ts';

/**
 * Removes a file: from a package that is not finalized, as if it had never been there; from a finalized one only when its time is over,
 * and with a reason, as `deleteFiles` does. @throws StoreError file_not_found, package_sealed, invalid_request, …
 */
export async function removeFile(
  services: Services<WithDecisions>,
  caller: Caller,
  packageId: PackageId,
  path: LogicalPath,
  reason: string | undefined,
): Promise<void> {
  const pkg = await readPackage(services.registry.read, caller, packageId);
  assertScope(caller, pkg.status === 'finalized' ? 'packages:delete' : 'packages:write');
  if (pkg.status !== 'finalized') return unregister(services, caller, packageId, path, reason ?? null);
  if (reason === undefined) {
    if (pkg.file_rules.length === 0) nextStatus(pkg, 'register');
    // Of what cannot be removed at all nobody is asked why.
    await checkDeletion(services, caller, packageId, [path]);
    throw new StoreError(
      'invalid_request',
      `${packageId} is finalized: say why the file is removed, as in ?reason=expired.`,
      { errors: [{ field: 'reason', message: 'is required' }] },
    );
  }
  await deleteFiles(services, caller, packageId, [path], reason);
}

async function unregister(
  services: Services,
  caller: Caller,
  packageId: PackageId,
  path: LogicalPath,
  reason: string | null,
): Promise<void> {
  await services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, packageId);
    nextStatus(pkg, 'register');
    const file = await tables.files.get(packageId, path);
    if (!file) throw new StoreError('file_not_found', `${packageId} has no file ${JSON.stringify(path)}.`, { path });
    await tables.files.remove(packageId, path);
    await tables.packages.changeFiles(packageId, -1, -file.size);
    await tables.usage.change(pkg.producer, { reserved_bytes: -file.size });
    await recordChange(tables, caller, {
      at: await tables.now(),
      action: 'package.file_removed',
      package_id: packageId,
      reason,
      detail: { path, digest: file.digest, size: file.size },
    });
  });
}

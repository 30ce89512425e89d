import { StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { nextStatus } from '../core/package-state.ts';
import { lockPackage } from './access.ts';
import { recordChange } from './record-change.ts';
import type { Caller, Services } from './services.ts';

/** Removes a file from a package that is not finalized. @throws StoreError file_not_found, package_sealed, … */
export async function removeFile(
  services: Services,
  caller: Caller,
  packageId: PackageId,
  path: LogicalPath,
): Promise<void> {
  await services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, packageId);
    nextStatus(pkg, 'register');
    const file = await tables.files.get(packageId, path);
    if (!file) throw new StoreError('file_not_found', `${packageId} has no file ${JSON.stringify(path)}.`, { path });
    await tables.files.remove(packageId, path);
    await tables.packages.changeFiles(packageId, -1, -file.size);
    await recordChange(tables, caller, {
      at: await tables.now(),
      action: 'package.file_removed',
      package_id: packageId,
      detail: { path, digest: file.digest, size: file.size },
    });
  });
}

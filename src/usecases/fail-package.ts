import type { PackageId } from '../core/ids.ts';
import { nextStatus } from '../core/package-state.ts';
import type { PackageRecord } from '../registry/packages.ts';
import { abortOpen } from './abort-upload.ts';
import { lockPackage, readPackage } from './access.ts';
import { recordChange } from './record-change.ts';
import type { Caller, Services, WithReader } from './services.ts';
import { assertNotFinalized } from './standing-manifest.ts';

/** The producer gives up. Again: the same answer. @throws StoreError package_sealed, package_deleted, registry_older */
export async function failPackage(
  services: Services<WithReader>,
  caller: Caller,
  id: PackageId,
  reason: string,
): Promise<PackageRecord> {
  const seen = await readPackage(services.registry.read, caller, id);
  if (seen.status === 'created' || seen.status === 'uploading') await assertNotFinalized(services, id);
  return services.registry.transaction(async (tables) => {
    const pkg = await lockPackage(tables, caller, id);
    if (pkg.status === 'failed') return pkg;
    const status = nextStatus(pkg, 'fail');
    await tables.packages.update(id, { status, reason });
    const uploads_aborted = await abortOpen(tables, caller, id, { reason: 'The package failed.' });
    await tables.usage.change(pkg.producer, { reserved_bytes: -pkg.total_size, open_packages: -1 });
    const at = await tables.now();
    await recordChange(tables, caller, {
      at,
      action: 'package.failed',
      package_id: id,
      reason,
      detail: { uploads_aborted },
    });
    return (await tables.packages.get(id)) as PackageRecord;
  });
}

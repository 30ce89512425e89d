import { fitting } from '../core/fitting.ts';
import type { PackageId } from '../core/ids.ts';
import type { PackageFilter, PackageRecord } from '../registry/packages.ts';
import { readPackage } from './access.ts';
import type { Caller, Services } from './services.ts';

export async function getPackage(services: Services, caller: Caller, id: PackageId): Promise<PackageRecord> {
  return readPackage(services.registry.read, caller, id);
}

/** Bytes of metadata in one page. */
const PAGE_METADATA_MAX = 1024 ** 2;

/** Newest first; `more` says that there is a further page. Much metadata makes a page shorter than `limit`. */
export async function listPackages(
  services: Services,
  caller: Caller,
  filter: PackageFilter,
  limit: number,
): Promise<{ packages: PackageRecord[]; now: number; more: boolean }> {
  const { packages } = services.registry.read;
  const sizes = await packages.listSizes(filter, caller.reads, limit + 1);
  const page = fitting(sizes.slice(0, limit), ({ metadata_bytes }) => metadata_bytes, PAGE_METADATA_MAX);
  const ids = page.map(({ id }) => id);
  return {
    packages: ids.length === 0 ? [] : await packages.list({ ...filter, ids }, caller.reads, limit),
    now: await services.registry.read.now(),
    more: sizes.length > ids.length,
  };
}

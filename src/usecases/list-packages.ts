import type { PackageId } from '../core/ids.ts';
import type { PackageFilter, PackageRecord } from '../registry/packages.ts';
import { readPackage } from './access.ts';
import type { Caller, Services } from './services.ts';

export async function getPackage(services: Services, caller: Caller, id: PackageId): Promise<PackageRecord> {
  return readPackage(services.registry.read, caller, id);
}

/** Newest first; `more` says that there is a further page. */
export async function listPackages(
  services: Services,
  caller: Caller,
  filter: PackageFilter,
  limit: number,
): Promise<{ packages: PackageRecord[]; now: number; more: boolean }> {
  const found = await services.registry.read.packages.list(filter, caller.reads, limit + 1);
  return {
    packages: found.slice(0, limit),
    now: await services.registry.read.now(),
    more: found.length > limit,
  };
}

/** What may be deleted because its time is over, soonest expiry first. */
export async function listEligible(
  services: Services,
  caller: Caller,
  after: { expires_at: number; id: string } | null,
  limit: number,
): Promise<{ packages: PackageRecord[]; more: boolean }> {
  const now = await services.registry.read.now();
  const found = await services.registry.read.packages.listEligible(now, after, caller.reads, limit + 1);
  return { packages: found.slice(0, limit), more: found.length > limit };
}

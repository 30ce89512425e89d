import type { PackageRecord } from '../registry/packages.ts';
import type { Caller, Services } from './services.ts';

/** So many are listed. */
const REVISIONS_MAX = 50;

/** The package and what it supersedes, or is superseded by, the newest first: by its external id, or without one its neighbours. */
export async function listRevisions(
  { registry }: Services,
  caller: Caller,
  pkg: PackageRecord,
): Promise<PackageRecord[]> {
  if (pkg.supersedes === null && pkg.superseded_by === null) return [pkg];
  const { packages } = registry.read;
  const { producer, external_id } = pkg;
  if (external_id !== null) {
    const chain = await packages.list({ producer, external_id }, caller.reads, REVISIONS_MAX);
    return chain.some(({ id }) => id === pkg.id) ? chain : [pkg, ...chain];
  }
  const ids = [pkg.id, pkg.supersedes, pkg.superseded_by].filter((id) => id !== null);
  return packages.list({ ids }, caller.reads, REVISIONS_MAX);
}

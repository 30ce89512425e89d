import type { Knex } from 'knex';
import { PACKAGE_STATUSES, type PackageStatus } from '../core/package-state.ts';

/** Packages of one status. */
export interface PackageTotals {
  packages: number;
  /** Of their files' content, as their manifests say: what several have counts for each. */
  bytes: number;
  /** In storage, of the objects that held their files when they were finalized. */
  stored_bytes: number;
}

export function packageTotals(db: Knex) {
  return {
    /** Of each status, from an index alone; it costs more the more packages there are. */
    async totals(): Promise<Record<PackageStatus, PackageTotals>> {
      const rows: Array<{ status: PackageStatus } & Record<keyof PackageTotals, number | string>> = await db('packages')
        .groupBy('status')
        .select(
          'status',
          db.raw('count(*) as packages, sum(total_size) as bytes, sum(coalesce(stored_size, 0)) as stored_bytes'),
        );
      const none = PACKAGE_STATUSES.map((status) => [status, { packages: 0, bytes: 0, stored_bytes: 0 }] as const);
      const some = rows.map(
        ({ status, packages, bytes, stored_bytes }) =>
          [status, { packages: Number(packages), bytes: Number(bytes), stored_bytes: Number(stored_bytes) }] as const,
      );
      return Object.fromEntries([...none, ...some]) as Record<PackageStatus, PackageTotals>;
    },
  };
}

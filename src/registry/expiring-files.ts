import type { Knex } from 'knex';
import type { PackageId } from '../core/ids.ts';
import { rowsOf } from './dialect.ts';
import { PACKAGE_NO } from './numbers.ts';
import type { Reads } from './reads.ts';
import { recordset } from './recordset.ts';

/** Files of a finalized package whose time is over at the same instant, by their rule alone. */
export interface ExpiringFiles {
  due_at: number;
  files: number;
  bytes: number;
}

/** A package of which files may be removed. */
export interface WithExpired {
  id: PackageId;
  name: string;
  producer: string;
  status: 'finalized';
  retention_class: string;
  total_size: number;
  /** When the first of them could be. */
  due_at: number;
  files: number;
  bytes: number;
}

/** The latest time to which somebody has extended the package `p`; null: nobody has. */
export const EXTENDED_UNTIL = `(select max(e.expires_after) from retention_events e
  where e.package_id = p.id and e.action = 'extended')`;

/** How many files are due when: kept with the packages, so that nobody reads all files to find out. */
export function expiringFiles(db: Knex) {
  return {
    /** Of a package that is being finalized. */
    async addExpiring(packageId: PackageId, groups: readonly ExpiringFiles[]): Promise<void> {
      if (groups.length === 0) return;
      const rows = groups.map(({ due_at, files, bytes }) => [due_at, files, bytes]);
      const columns = { due_at: 'integer', files: 'integer', bytes: 'integer' } as const;
      await db.raw(
        `insert into expiring_files (package_no, due_at, files, bytes) select ${PACKAGE_NO}, r.due_at, r.files, r.bytes from ? r`,
        [packageId, recordset(db, columns, rows)],
      );
    },

    /** So many of them were removed. */
    async takeExpiring(packageId: PackageId, { due_at, files, bytes }: ExpiringFiles): Promise<void> {
      await db('expiring_files')
        .whereRaw(`package_no = ${PACKAGE_NO}`, [packageId])
        .where({ due_at })
        .decrement({ files, bytes });
    },

    /** Of a package that was deleted. */
    async dropExpiring(packageId: PackageId): Promise<void> {
      await db('expiring_files').whereRaw(`package_no = ${PACKAGE_NO}`, [packageId]).delete();
    },

    /** Packages that are kept, and some of whose files need not be; those first whose files could be removed first. */
    async listWithExpired(
      now: number,
      after: { expires_at: number; id: string } | null,
      reads: Reads,
      limit: number,
    ): Promise<WithExpired[]> {
      const producers = 'all' in reads ? null : reads.producers;
      const may = producers === null ? '' : `and p.producer in (${producers.map(() => '?').join(', ') || 'null'})`;
      const rows: WithExpired[] = rowsOf(
        await db.raw(
          `select p.id as id, p.name as name, p.producer as producer, p.status as status,
             p.retention_class as retention_class, p.total_size as total_size, x.due_at as due_at,
             (select sum(y.files) from expiring_files y where y.package_no = p.no and y.due_at <= ?) as files,
             (select sum(y.bytes) from expiring_files y where y.package_no = p.no and y.due_at <= ?) as bytes
           from expiring_files x join packages p on p.no = x.package_no
           where x.files > 0 and x.due_at <= ? ${after === null ? '' : 'and x.due_at >= ? and (x.due_at, p.id) > (?, ?)'}
             and p.status = 'finalized' and p.active_holds = 0 and (p.expires_at is null or p.expires_at > ?)
             and coalesce(${EXTENDED_UNTIL}, 0) <= ? ${may}
             and not exists (select 1 from expiring_files y
               where y.package_no = x.package_no and y.files > 0 and y.due_at < x.due_at)
           order by x.due_at, p.id limit ?`,
          [
            now,
            now,
            now,
            ...(after === null ? [] : [after.expires_at, after.expires_at, after.id]),
            now,
            now,
            ...(producers ?? []),
            limit,
          ],
        ),
      );
      return rows.map((row) => ({ ...row, files: Number(row.files), bytes: Number(row.bytes) }));
    },
  };
}

import type { Knex } from 'knex';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { rowsOf } from './dialect.ts';
import { PACKAGE_NO } from './numbers.ts';
import { recordset } from './recordset.ts';

/** What stays of a file that was removed from a finalized package, beside its row. */
export interface FileTombstone {
  path: LogicalPath;
  at: number;
  actor: string;
  reason: string | null;
}

/**
 * A condition on a row of package_files: the file was not removed from its package, which is then finalized. Of most packages nothing
 * was, as their own row says. @param file the alias of its row, as is `pkg`
 */
export function isThere(file: string, pkg: string): string {
  return `(${pkg}.deleted_file_count = 0 or coalesce((select false from deleted_files d
    where d.package_no = ${file}.package_no and d.path = ${file}.path), true))`;
}

/** When the file of a row was removed; null: it was not. */
export function deletedAt(file: string): string {
  return `(select e.at from deleted_files d join retention_events e on e.seq = d.event_seq
    where d.package_no = ${file}.package_no and d.path = ${file}.path)`;
}

/** Files that were removed from finalized packages. Whoever removes some holds the package row's lock. */
export function deletedFiles(db: Knex) {
  return {
    /** @param eventSeq of the retention event that says who, when and why */
    async addDeleted(packageId: PackageId, paths: readonly LogicalPath[], eventSeq: number): Promise<void> {
      const rows = recordset(
        db,
        { path: 'text' },
        paths.map((path) => [path]),
      );
      await db.raw(
        `insert into deleted_files (package_no, path, event_seq) select ${PACKAGE_NO}, r.path, cast(? as bigint) from ? r`,
        [packageId, eventSeq, rows],
      );
      await db('packages').where({ id: packageId }).increment({ deleted_file_count: paths.length });
    },

    async tombstone(packageId: PackageId, path: LogicalPath): Promise<FileTombstone | null> {
      const row: FileTombstone | undefined = await db('deleted_files as d')
        .join('retention_events as e', 'e.seq', 'd.event_seq')
        .whereRaw(`d.package_no = ${PACKAGE_NO}`, [packageId])
        .where('d.path', path)
        .first('d.path', 'e.at', 'e.actor', 'e.reason');
      return row ?? null;
    },

    /** Bytes of all that were removed of a package. */
    async deletedBytes(packageId: PackageId): Promise<number> {
      const [row] = rowsOf<{ bytes: number | string }>(
        await db.raw(
          `select coalesce(sum(f.size), 0) as bytes from deleted_files d
           cross join package_files f where d.package_no = ${PACKAGE_NO}
           and f.package_no = d.package_no and f.path = d.path`,
          [packageId],
        ),
      );
      return Number(row?.bytes);
    },

    /** What an event removed, in the order of the paths' bytes. */
    async pathsDeletedBy(eventSeq: number): Promise<LogicalPath[]> {
      const rows: Array<{ path: LogicalPath }> = rowsOf(
        await db.raw('select d.path as path from deleted_files d where d.event_seq = ? order by d.path', [eventSeq]),
      );
      return rows.map(({ path }) => path);
    },
  };
}

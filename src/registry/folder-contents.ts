import type { Knex } from 'knex';
import type { PackageId } from '../core/ids.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { PACKAGE_NO } from './numbers.ts';

/** What stands directly in a folder of a package: a file, or a folder with what is below it. */
export interface FolderEntry {
  /** Of a file, or the folder's with a slash at its end. */
  path: string;
  folder: boolean;
  /** Below a folder; of more than `COUNTED_MAX`, so many are counted. */
  files: number;
  bytes: number;
}

/** Files below one folder that are counted: a list of folders costs the same whatever is in them. */
export const COUNTED_MAX = 2_000;

/** No path has it, and none has one that is less: what follows a path with it comes after the path alone. */
const AFTER = '\u0001';
/** Comes right after the slash: no path of a folder is as great as the folder's name with it. */
const PAST_SLASH = '0';

/** Longer than a segment can be. */
const PAST_ALL = '\u{10ffff}'.repeat(64);

export function folderContents(db: Knex) {
  const slash = (text: string): string => (isPostgres(db) ? `strpos(${text}, '/')` : `instr(${text}, '/')`);

  return {
    /**
     * The next entries of a folder, in the order of the paths' bytes: from each one the index is asked for the first path that is not in it,
     * so that no more is read than is shown, and counted. @param folder with a slash at its end; empty: the package @param after the
     * path of the last entry of the page before
     */
    async folder(packageId: PackageId, folder: string, after: string | null, limit: number): Promise<FolderEntry[]> {
      const skip = [...folder].length;
      const end = folder === '' ? PAST_ALL : folder.slice(0, -1) + PAST_SLASH;
      const rest = `substr(c.path, ${skip + 1})`;
      const beyond = `case when ${slash(rest)} = 0 then c.path || ? else substr(c.path, 1, ${skip} + ${slash(rest)} - 1) || ? end`;
      const first = (from: string): string =>
        `(select f.path from package_files f where f.package_no = k.no and f.path >= ${from} and f.path < ? order by f.path limit 1)`;
      const counted = `(select f.size from package_files f where c.folder and f.package_no = c.no
        and f.path >= c.name and f.path < substr(c.name, 1, length(c.name) - 1) || ? limit ${COUNTED_MAX + 1}) s`;
      const rows: Array<{ path: string; folder: number | boolean; files: number | string; bytes: number | string }> =
        rowsOf(
          await db.raw(
            `with recursive c(nth, no, path) as (
               select 1, k.no, ${first('?')} from (select ${PACKAGE_NO} as no) k
               union all
               select c.nth + 1, c.no, (select f.path from package_files f where f.package_no = c.no
                 and f.path >= ${beyond} and f.path < ? order by f.path limit 1)
               from c where c.path is not null and c.nth < ?)
             select c.name as path, c.folder as folder,
               (select count(*) from ${counted}) as files, (select coalesce(sum(s.size), 0) from ${counted}) as bytes
             from (select c.nth, c.no, ${slash(rest)} > 0 as folder,
                 case when ${slash(rest)} = 0 then c.path else substr(c.path, 1, ${skip} + ${slash(rest)}) end as name
               from c where c.path is not null) c
             order by c.nth`,
            [startOf(folder, after), end, packageId, AFTER, PAST_SLASH, end, limit, PAST_SLASH, PAST_SLASH],
          ),
        );
      return rows.map(({ path, folder: isFolder, files, bytes }) => ({
        path,
        folder: Boolean(isFolder),
        files: Number(files),
        bytes: Number(bytes),
      }));
    },
  };
}

function startOf(folder: string, after: string | null): string {
  if (after === null) return folder;
  return after.endsWith('/') ? after.slice(0, -1) + PAST_SLASH : after + AFTER;
}

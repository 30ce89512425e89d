import type { Knex } from 'knex';
import type { PackageId } from '../core/ids.ts';
import { type LogicalPath, laterOf, pathKey, sharedLength } from '../core/logical-path.ts';
import { rowsOf } from './dialect.ts';
import { PACKAGE_NO } from './numbers.ts';
import { type Cell, recordset } from './recordset.ts';

interface Found {
  path: LogicalPath;
  other: LogicalPath;
}

/** A path of the package that stands in the way of a new one. */
export interface ExistingConflict extends Found {
  kind: 'same_after_nfc' | 'folder_of_other';
}

/**
 * Which of a package's files stand in the way of new ones: core's rule on paths of one package (`findConflict` of
 * core/logical-path.ts), without reading the package.
 *
 * A row has a `path_key` only where that is not its path, so each question goes to two indexes: all paths, and those keys. A path
 * that is not its key does no harm among the others. What lies below a folder by its path does so by its key as well; what is
 * equal to a key, or to a folder of one, is its own key.
 */
export function fileConflicts(db: Knex) {
  return {
    /** The first path that cannot stand beside one that the package has; null when all can. */
    async findConflict(packageId: PackageId, paths: readonly LogicalPath[]): Promise<ExistingConflict | null> {
      const keys = paths.map((path): Cell[] => [path, pathKey(path)]);
      const keyRows = recordset(db, { path: 'text', path_key: 'text' }, keys);
      // One look into the index for each path, here and below: see recordset.
      const same = await first(
        `select path, other from (
           select r.path as path, coalesce(
             (select f.path from package_files f where f.package_no = ${PACKAGE_NO} and f.path = r.path_key
              and f.path <> r.path),
             (select f.path from package_files f where f.package_no = ${PACKAGE_NO} and f.path_key >= r.path_key
              and f.path_key <= r.path_key and f.path <> r.path order by f.path_key limit 1)) as other
           from ? r) found
         where other is not null limit 1`,
        [packageId, packageId, keyRows],
      );
      if (same) return { ...same, kind: 'same_after_nfc' };

      const above = await findAbove(packageId, keys as Array<[string, string]>);
      if (above) return { ...above, kind: 'folder_of_other' };

      // "/" is followed by "0": everything between is below the folder.
      const ranges = keys.map(([path, key]): Cell[] => [path as Cell, `${key}/`, `${key}0`]);
      const below = await first(
        `select path, other from (
           select r.path as path, coalesce(
             (select f.path from package_files f where f.package_no = ${PACKAGE_NO} and f.path > r.low and f.path < r.high
              order by f.path limit 1),
             (select f.path from package_files f where f.package_no = ${PACKAGE_NO} and f.path_key > r.low
              and f.path_key < r.high order by f.path_key limit 1)) as other
           from ? r) found
         where other is not null limit 1`,
        [packageId, packageId, recordset(db, { path: 'text', low: 'text', high: 'text' }, ranges)],
      );
      return below ? { ...below, kind: 'folder_of_other' } : null;
    },
  };

  /**
   * A file that is a folder of one of these paths. Not every folder is asked for (a path may have five hundred): of the
   * files at or before a folder the last one decides. If it is not above the path, then whatever is above can be no longer
   * than what the two share; so the search goes on from there, and ends after a step or two.
   */
  async function findAbove(
    packageId: PackageId,
    keys: ReadonlyArray<[path: string, key: string]>,
  ): Promise<Found | null> {
    let folders = new Map(keys.map(([path, key]) => [key.slice(0, Math.max(0, key.lastIndexOf('/'))), path]));
    folders.delete('');
    while (folders.size > 0) {
      const rows = rowsOf<{ folder: string; path: LogicalPath; last_path: string | null; last_key: string | null }>(
        await db.raw(
          `select r.folder as folder, r.path as path,
             (select f.path from package_files f where f.package_no = ${PACKAGE_NO} and f.path <= r.folder
              order by f.path desc limit 1) as last_path,
             (select f.path_key from package_files f where f.package_no = ${PACKAGE_NO} and f.path_key <= r.folder
              order by f.path_key desc limit 1) as last_key
           from ? r`,
          [packageId, packageId, recordset(db, { folder: 'text', path: 'text' }, [...folders])],
        ),
      );
      folders = new Map();
      for (const { folder, path, last_path, last_key } of rows) {
        const last = laterOf(last_path, last_key);
        if (last === null) continue;
        if (folder === last || folder.startsWith(`${last}/`)) {
          const other = last === last_path ? last : await pathOf(packageId, last);
          return { path, other: other as LogicalPath };
        }
        const next = folderWithin(folder, sharedLength(folder, last));
        if (next !== '') folders.set(next, path);
      }
    }
    return null;
  }

  async function pathOf(packageId: PackageId, key: string): Promise<LogicalPath> {
    const query = db('package_files').whereRaw(`package_no = ${PACKAGE_NO}`, [packageId]).where({ path_key: key });
    return (await query.first('path')).path;
  }

  async function first(sql: string, bindings: unknown[]): Promise<Found | null> {
    return rowsOf<Found>(await db.raw(sql, bindings as Knex.RawBinding[]))[0] ?? null;
  }
}

/** The longest folder above `key`, or itself, that has at most `length` characters. */
function folderWithin(key: string, length: number): string {
  if (key.length <= length) return key;
  // Of "a/b" all three characters may be shared with "a/bc": only up to a slash it is a folder.
  return key.slice(0, Math.max(0, key.lastIndexOf('/', length)));
}

import type { Knex } from 'knex';
import type { PackageId } from '../core/ids.ts';
import { type LogicalPath, pathKey, sharedLength } from '../core/logical-path.ts';
import { rowsOf } from './dialect.ts';
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
           select r.path as path,
             (select f.path from package_files f where f.package_id = ? and f.path_key >= r.path_key
              and f.path_key <= r.path_key order by f.path_key limit 1) as other
           from ? r) found
         where other <> path limit 1`,
        [packageId, keyRows],
      );
      if (same) return { ...same, kind: 'same_after_nfc' };

      const above = await findAbove(packageId, keys as Array<[string, string]>);
      if (above) return { ...above, kind: 'folder_of_other' };

      // "/" is followed by "0": everything between is below the folder.
      const ranges = keys.map(([path, key]): Cell[] => [path as Cell, `${key}/`, `${key}0`]);
      const below = await first(
        `select path, other from (
           select r.path as path,
             (select f.path from package_files f where f.package_id = ? and f.path_key > r.low and f.path_key < r.high
              order by f.path_key limit 1) as other
           from ? r) found
         where other is not null limit 1`,
        [packageId, recordset(db, { path: 'text', low: 'text', high: 'text' }, ranges)],
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
      const rows = rowsOf<{ folder: string; path: LogicalPath; last: string | null }>(
        await db.raw(
          `select r.folder as folder, r.path as path,
             (select f.path_key from package_files f where f.package_id = ? and f.path_key <= r.folder
              order by f.path_key desc limit 1) as last
           from ? r`,
          [packageId, recordset(db, { folder: 'text', path: 'text' }, [...folders])],
        ),
      );
      folders = new Map();
      for (const { folder, path, last } of rows) {
        if (last === null) continue;
        if (folder === last || folder.startsWith(`${last}/`)) {
          const other = await db('package_files').where({ package_id: packageId, path_key: last }).first('path');
          return { path, other: other.path };
        }
        const next = folderWithin(folder, sharedLength(folder, last));
        if (next !== '') folders.set(next, path);
      }
    }
    return null;
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

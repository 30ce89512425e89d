import type { Knex } from 'knex';
import { type Digest, digestFromBytes, digestHex } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import { type LogicalPath, pathKey } from '../core/logical-path.ts';
import { LIVING_STATUSES } from '../core/package-state.ts';
import { isPostgres } from './dialect.ts';
import type { Reads } from './reads.ts';
import { type Cell, recordset } from './recordset.ts';

export interface FileRecord {
  path: LogicalPath;
  digest: Digest;
  size: number;
  media_type: string;
  mtime: string | null;
  executable: boolean;
  proven: boolean;
}

/** A path of the package that stands in the way of a new one. */
export interface ExistingConflict {
  path: LogicalPath;
  other: LogicalPath;
  kind: 'same_after_nfc' | 'folder_of_other';
}

/** A blob that a package's file needs. */
export interface Wanted {
  digest: Digest;
  size: number;
}

/** Where a file's bytes are. */
export interface FileLocation {
  path: LogicalPath;
  digest: Digest;
  size: number;
  object_id: string;
  offset: number;
}

type Row = Omit<FileRecord, 'digest' | 'executable' | 'proven'> & {
  digest: Buffer;
  executable: boolean | number;
  proven: boolean | number;
};

function fromRow(row: Row): FileRecord {
  return {
    path: row.path,
    digest: digestFromBytes(row.digest),
    size: row.size,
    media_type: row.media_type,
    mtime: row.mtime,
    executable: Boolean(row.executable),
    proven: Boolean(row.proven),
  };
}

const COLUMNS = ['path', 'digest', 'size', 'media_type', 'mtime', 'executable', 'proven'] as const;

/**
 * The files of packages. Whoever changes them holds the package row's lock.
 *
 * Joins with a recordset are cross joins with a where: SQLite then reads the recordset first and looks the rest up by
 * index; left to itself it may scan the recordset once for every row of the table.
 */
export function fileTable(db: Knex) {
  return {
    async get(packageId: PackageId, path: LogicalPath): Promise<FileRecord | null> {
      const row: Row | undefined = await db('package_files')
        .where({ package_id: packageId, path })
        .first(...COLUMNS);
      return row ? fromRow(row) : null;
    },

    /** In the order of the path's bytes. */
    async page(packageId: PackageId, after: string | null, limit: number): Promise<FileRecord[]> {
      const query = db('package_files').where({ package_id: packageId }).orderBy('path').limit(limit);
      if (after !== null) query.where('path', '>', after);
      return ((await query.select(...COLUMNS)) as Row[]).map(fromRow);
    },

    /** The greatest key of a path; null: the package has no files. */
    async lastKey(packageId: PackageId): Promise<string | null> {
      const query = db('package_files').where({ package_id: packageId }).orderBy('path_key', 'desc');
      const row: { path_key: string } | undefined = await query.first('path_key');
      return row?.path_key ?? null;
    },

    /** The package's files among these paths, by path. */
    async atPaths(packageId: PackageId, paths: readonly LogicalPath[]): Promise<Map<LogicalPath, FileRecord>> {
      const wanted = recordset(
        db,
        { path: 'text' },
        paths.map((path) => [path]),
      );
      // PostgreSQL is made to look into the index for each path; else see findConflict.
      const rows: Row[] = isPostgres(db)
        ? rowsOf(
            await db.raw(
              `select f.* from ? r cross join lateral (
                 select ${COLUMNS.join(', ')} from package_files f where f.package_id = ? and f.path >= r.path and f.path <= r.path
                 order by f.path limit 1) f`,
              [wanted, packageId],
            ),
          )
        : await db('package_files')
            .where({ package_id: packageId })
            .whereIn('path', db.select('path').from(db.raw('? r', [wanted])))
            .select(...COLUMNS);
      return new Map(rows.map((row) => [row.path, fromRow(row)]));
    },

    /** The first path that cannot stand beside one that the package has; null when all can. */
    async findConflict(packageId: PackageId, paths: readonly LogicalPath[]): Promise<ExistingConflict | null> {
      const keys = paths.map((path): Cell[] => [path, pathKey(path)]);
      const keyRows = recordset(db, { path: 'text', path_key: 'text' }, keys);
      // One look into the index for each path, here and below: a join is planned by what PostgreSQL knows of the package, which
      // of a new one is nothing, and then reads all of it for each path. An order that only the right index has makes it take that.
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

    /**
     * Which of these blobs the caller has a right to: proven in a living package that it may read, this one included.
     * Everything else looks the same to it, whether the store has the bytes or not (invariant 7).
     * @returns digest → size; a digest asked for with another size is not in it
     */
    async provableBy(reads: Reads, packageId: PackageId, wanted: readonly Wanted[]): Promise<Map<Digest, number>> {
      const rows: Array<{ digest: Buffer; size: number }> = rowsOf(
        await db.raw('select distinct r.digest as digest, r.size as size from ? r where ?', [
          wantedRows(db, wanted),
          provenFor(db, reads, packageId, 'r'),
        ]),
      );
      return new Map(rows.map((row) => [digestFromBytes(row.digest), row.size]));
    },

    /** Adds files, or replaces those with the same path. */
    async put(packageId: PackageId, files: readonly FileRecord[]): Promise<void> {
      const rows = recordset(
        db,
        {
          path: 'text',
          path_key: 'text',
          digest: 'bytes',
          size: 'integer',
          media_type: 'text',
          mtime: 'text',
          executable: 'boolean',
          proven: 'boolean',
        },
        byDigest(files).map((file) => [
          file.path,
          pathKey(file.path),
          digestHex(file.digest),
          file.size,
          file.media_type,
          file.mtime,
          file.executable,
          file.proven,
        ]),
      );
      await db.raw(
        `insert into package_files
           (package_id, path, path_key, digest, size, media_type, mtime, executable, proven)
         select ?, path, path_key, digest, size, media_type, mtime, executable, proven from ? r where true
         on conflict (package_id, path) do update set digest = excluded.digest, size = excluded.size,
           media_type = excluded.media_type, mtime = excluded.mtime, executable = excluded.executable,
           proven = excluded.proven`,
        [packageId, rows],
      );
    },

    async remove(packageId: PackageId, path: LogicalPath): Promise<void> {
      await db('package_files').where({ package_id: packageId, path }).delete();
    },

    /** Marks every file of the package that has one of these blobs. @returns how many */
    async prove(packageId: PackageId, blobs: readonly Wanted[]): Promise<number> {
      // By their places in the table: of a package that is new to PostgreSQL's statistics it would read all files for each. Nobody
      // moves them meanwhile: whoever changes files has locked the package in a statement before.
      const places = isPostgres(db)
        ? 'ctid = any(array(select f.ctid from ?))'
        : '(package_id, path) in (select f.package_id, f.path from ?)';
      const rows: unknown[] = rowsOf(
        await db.raw(`update package_files set proven = true where ${places} returning 1`, [
          filesWith(db, packageId, blobs),
        ]),
      );
      return rows.length;
    },

    /** Of these blobs: which ones files of the package need, and whether each is proven everywhere in it. */
    async wantedBy(packageId: PackageId, wanted: readonly Wanted[]): Promise<Map<Digest, { proven: boolean }>> {
      const rows: Array<{ digest: Buffer; unproven: number }> = rowsOf(
        await db.raw(
          `select f.digest as digest, sum(case when f.proven = true then 0 else 1 end) as unproven from ? group by f.digest`,
          [filesWith(db, packageId, wanted)],
        ),
      );
      return new Map(rows.map((row) => [digestFromBytes(row.digest), { proven: Number(row.unproven) === 0 }]));
    },

    /** Paths without proven bytes, in order. */
    async missing(packageId: PackageId, limit: number): Promise<LogicalPath[]> {
      const rows: Array<{ path: LogicalPath }> = await db('package_files')
        .where({ package_id: packageId })
        .whereRaw('proven = false')
        .orderBy('path')
        .limit(limit)
        .select('path');
      return rows.map(({ path }) => path);
    },

    async totals(packageId: PackageId): Promise<{ file_count: number; total_size: number }> {
      const row = (await db('package_files')
        .where({ package_id: packageId })
        .first(db.raw('count(*) as file_count, coalesce(sum(size), 0) as total_size'))) as Record<string, unknown>;
      return { file_count: Number(row.file_count), total_size: Number(row.total_size) };
    },

    /** Where the bytes of these files are; empty files and unproven ones are left out. */
    async locate(packageId: PackageId, paths: readonly LogicalPath[]): Promise<FileLocation[]> {
      const wanted = recordset(
        db,
        { path: 'text' },
        paths.map((path) => [path]),
      );
      // As in atPaths and findConflict.
      const found = isPostgres(db)
        ? `? r cross join lateral (
             select path, digest, size, proven from package_files f where f.package_id = ? and f.path >= r.path and f.path <= r.path
             order by f.path limit 1) f
           cross join lateral (
             select object_id, "offset" from blob_locations l where l.digest = f.digest order by l.object_id limit 1) l
           where f.proven = true`
        : `? r cross join package_files f cross join blob_locations l
           where f.package_id = ? and f.path = r.path and f.proven = true
             and l.digest = f.digest
             and l.object_id = (select min(x.object_id) from blob_locations x where x.digest = f.digest)`;
      const rows: Array<Omit<FileLocation, 'digest'> & { digest: Buffer }> = rowsOf(
        await db.raw(
          `select f.path as path, f.digest as digest, f.size as size, l.object_id as object_id, l."offset" as "offset"
           from ${found} order by l.object_id, l."offset", f.path`,
          [wanted, packageId],
        ),
      );
      return rows.map((row) => ({ ...row, digest: digestFromBytes(row.digest) }));
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
  ): Promise<{ path: LogicalPath; other: LogicalPath } | null> {
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

  async function first(sql: string, bindings: unknown[]): Promise<{ path: LogicalPath; other: LogicalPath } | null> {
    return (
      rowsOf<{ path: LogicalPath; other: LogicalPath }>(await db.raw(sql, bindings as Knex.RawBinding[]))[0] ?? null
    );
  }
}

/**
 * A condition: the blob of the row `alias` (its `digest` and `size`) is proven in a living package that the caller may
 * read, or in this package, which it may.
 */
export function provenFor(db: Knex, reads: Reads, packageId: PackageId, alias: string): Knex.Raw {
  const producers = 'all' in reads ? null : reads.producers;
  const placeholders = (values: readonly unknown[]) => values.map(() => '?').join(', ');
  const readable =
    producers === null
      ? ''
      : `and (p.id = ? ${producers.length === 0 ? '' : `or p.producer in (${placeholders(producers)})`})`;
  return db.raw(
    `exists (select 1 from package_files f join packages p on p.id = f.package_id
       where f.digest = ${alias}.digest and f.size = ${alias}.size and f.proven = true
         and p.status in (${placeholders(LIVING_STATUSES)}) ${readable})`,
    [...LIVING_STATUSES, ...(producers === null ? [] : [packageId, ...producers])],
  );
}

export function wantedRows(db: Knex, wanted: readonly Wanted[]): Knex.Raw {
  const cells = wanted.map(({ digest, size }) => [digestHex(digest), size]);
  return recordset(db, { digest: 'bytes', size: 'integer' }, cells);
}

/**
 * The package's files that have one of these blobs, as `f`. PostgreSQL is made to look into the index by digest for each: no
 * other index has the order that the comparison of rows asks for, and OFFSET keeps it from joining in another way. That the
 * digests are equal follows from it, but only said it tells PostgreSQL that few rows are: else it reads a table of ten million.
 */
function filesWith(db: Knex, packageId: PackageId, wanted: readonly Wanted[]): Knex.Raw {
  const rows = wantedRows(db, wanted);
  return isPostgres(db)
    ? db.raw(
        `? r cross join lateral (
           select f.ctid, f.digest, f.proven from package_files f
           where f.digest = r.digest and (f.digest, f.package_id) >= (r.digest, ?) and (f.digest, f.package_id) <= (r.digest, ?)
             and f.size = r.size
           offset 0) f`,
        [rows, packageId, packageId],
      )
    : db.raw('? r cross join package_files f where f.digest = r.digest and f.package_id = ? and f.size = r.size', [
        rows,
        packageId,
      ]);
}

/** Batches are written in one order, whatever order they come in: two that meet then wait instead of deadlocking. */
export function byDigest<Item extends { digest: Digest }>(items: readonly Item[]): Item[] {
  return items.toSorted((a, b) => (a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0));
}

/** The longest folder above `key`, or itself, that has at most `length` characters. */
function folderWithin(key: string, length: number): string {
  if (key.length <= length) return key;
  // Of "a/b" all three characters may be shared with "a/bc": only up to a slash it is a folder.
  return key.slice(0, Math.max(0, key.lastIndexOf('/', length)));
}

function sharedLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let shared = 0;
  while (shared < most && a[shared] === b[shared]) shared++;
  return shared;
}

/** `raw` answers with the rows on SQLite and with a result that holds them on PostgreSQL. */
export function rowsOf<Row>(result: unknown): Row[] {
  return (Array.isArray(result) ? result : (result as { rows: Row[] }).rows) as Row[];
}

export type FileTable = ReturnType<typeof fileTable>;

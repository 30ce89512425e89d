import type { Knex } from 'knex';
import { type Digest, digestFromBytes, digestHex } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import { comparePaths, type LogicalPath, pathKey } from '../core/logical-path.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { fileConflicts } from './file-conflicts.ts';
import { fileProofs } from './file-proofs.ts';
import { bestObject, isLost } from './lost-blobs.ts';
import { byDigest, recordset } from './recordset.ts';

export interface FileRecord {
  path: LogicalPath;
  digest: Digest;
  size: number;
  media_type: string;
  mtime: string | null;
  executable: boolean;
  proven: boolean;
  /** The bytes of its digest are gone: proven or not, they must be sent again. Follows from the objects' states. */
  lost: boolean;
}

/** As a file is put. */
export type PutFile = Omit<FileRecord, 'lost'>;

/** Where a file's bytes are. */
export interface FileLocation {
  path: LogicalPath;
  digest: Digest;
  size: number;
  object_id: string;
  offset: number;
}

type Row = Omit<FileRecord, 'digest' | 'executable' | 'proven' | 'lost'> & {
  digest: Buffer;
  executable: boolean | number;
  proven: boolean | number;
  lost: boolean | number;
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
    lost: Boolean(row.lost),
  };
}

/** Of a row `f`. */
const COLUMNS = `f.path, f.digest, f.size, f.media_type, f.mtime, f.executable, f.proven, ${isLost('f.digest')} as lost`;

/** The files of packages. Whoever changes them holds the package row's lock. */
export function fileTable(db: Knex) {
  async function pathsOf(packageId: PackageId, condition: string, limit: number): Promise<LogicalPath[]> {
    const query = db('package_files as f').where({ package_id: packageId }).whereRaw(condition);
    const rows: Array<{ path: LogicalPath }> = await query.orderBy('path').limit(limit).select('path');
    return rows.map(({ path }) => path);
  }

  return {
    ...fileConflicts(db),
    ...fileProofs(db),

    async get(packageId: PackageId, path: LogicalPath): Promise<FileRecord | null> {
      const query = db('package_files as f').where({ package_id: packageId, path });
      const row: Row | undefined = await query.first(db.raw(COLUMNS));
      return row ? fromRow(row) : null;
    },

    /** In the order of the path's bytes. */
    async page(packageId: PackageId, after: string | null, limit: number): Promise<FileRecord[]> {
      const query = db('package_files as f').where({ package_id: packageId }).orderBy('path').limit(limit);
      if (after !== null) query.where('path', '>', after);
      return ((await query.select(db.raw(COLUMNS))) as Row[]).map(fromRow);
    },

    /** The greatest key of a path; null: the package has no files. */
    async lastKey(packageId: PackageId): Promise<string | null> {
      const query = db('package_files').where({ package_id: packageId }).orderBy('path_key', 'desc');
      const row: { path_key: string } | undefined = await query.first('path_key');
      return row?.path_key ?? null;
    },

    /** The package's files among these paths, by path. */
    async atPaths(packageId: PackageId, paths: readonly LogicalPath[]): Promise<Map<LogicalPath, FileRecord>> {
      const wanted = pathRows(db, paths);
      const rows: Row[] = isPostgres(db)
        ? rowsOf(await db.raw(`select ${COLUMNS} from ? r ${fileAtEach('*')}`, [wanted, packageId]))
        : await db('package_files as f')
            .where({ package_id: packageId })
            .whereIn('path', db.select('path').from(db.raw('? r', [wanted])))
            .select(db.raw(COLUMNS));
      return new Map(rows.map((row) => [row.path, fromRow(row)]));
    },

    /** Adds files, or replaces those with the same path. */
    async put(packageId: PackageId, files: readonly PutFile[]): Promise<void> {
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

    /** Paths without proven bytes, in order. */
    unproven: (packageId: PackageId, limit: number): Promise<LogicalPath[]> =>
      pathsOf(packageId, 'proven = false', limit),

    /** Paths without proven bytes, or whose bytes are lost, in order. */
    async missing(packageId: PackageId, limit: number): Promise<LogicalPath[]> {
      const unproven = await pathsOf(packageId, 'proven = false', limit);
      if (!(await db('lost_blobs').first('digest'))) return unproven;
      const lost = await pathsOf(packageId, `proven = true and ${isLost('f.digest')}`, limit);
      return [...unproven, ...lost].toSorted(comparePaths).slice(0, limit);
    },

    async totals(packageId: PackageId): Promise<{ file_count: number; total_size: number }> {
      const row = (await db('package_files')
        .where({ package_id: packageId })
        .first(db.raw('count(*) as file_count, coalesce(sum(size), 0) as total_size'))) as Record<string, unknown>;
      return { file_count: Number(row.file_count), total_size: Number(row.total_size) };
    },

    /** Where the bytes of these files are; empty files and unproven ones are left out. */
    async locate(packageId: PackageId, paths: readonly LogicalPath[]): Promise<FileLocation[]> {
      const found = isPostgres(db)
        ? `? r ${fileAtEach('path, digest, size, proven')}
           cross join lateral (
             select object_id, "offset" from blob_locations l
             where l.digest = f.digest and l.object_id = ${bestObject('f.digest')} order by l.object_id limit 1) l
           where f.proven = true`
        : `? r cross join package_files f cross join blob_locations l
           where f.package_id = ? and f.path = r.path and f.proven = true
             and l.digest = f.digest and l.object_id = ${bestObject('f.digest')}`;
      const rows: Array<Omit<FileLocation, 'digest'> & { digest: Buffer }> = rowsOf(
        await db.raw(
          `select f.path as path, f.digest as digest, f.size as size, l.object_id as object_id, l."offset" as "offset"
           from ${found} order by l.object_id, l."offset", f.path`,
          [pathRows(db, paths), packageId],
        ),
      );
      return rows.map((row) => ({ ...row, digest: digestFromBytes(row.digest) }));
    },
  };
}

function pathRows(db: Knex, paths: readonly LogicalPath[]): Knex.Raw {
  return recordset(
    db,
    { path: 'text' },
    paths.map((path) => [path]),
  );
}

/**
 * For PostgreSQL: the package's file at the path of each row `r` of a recordset, as `f`, by a look into the index for each. Were
 * the bounds an equality, every index would have that order (see recordset).
 */
function fileAtEach(columns: string): string {
  return `cross join lateral (
    select ${columns} from package_files f where f.package_id = ? and f.path >= r.path and f.path <= r.path
    order by f.path limit 1) f`;
}

export type FileTable = ReturnType<typeof fileTable>;

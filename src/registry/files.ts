import type { Knex } from 'knex';
import { type Digest, digestFromBytes, digestHex } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import { comparePaths, type LogicalPath, laterOf, pathKey } from '../core/logical-path.ts';
import { deletedAt, deletedFiles } from './deleted-files.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { expiringFiles } from './expiring-files.ts';
import { fileConflicts } from './file-conflicts.ts';
import { fileProofs, forgetUnproven, isProven, noteUnproven, wantedRows } from './file-proofs.ts';
import { findFiles } from './find-files.ts';
import { folderContents } from './folder-contents.ts';
import { located } from './locations.ts';
import { addBlobs, blobOfEach, PACKAGE_NO } from './numbers.ts';
import { bestObject, isLost } from './object-states.ts';
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
  /** It was removed from its finalized package, and cannot be read; null: it was not. */
  deleted_at: number | null;
}

/** As a file is put. */
export type PutFile = Omit<FileRecord, 'lost' | 'deleted_at'>;

/** Where a file's bytes are. */
export interface FileLocation {
  path: LogicalPath;
  digest: Digest;
  size: number;
  object_id: string;
  offset: number;
}

type Row = Omit<FileRecord, 'digest' | 'media_type' | 'executable' | 'proven' | 'lost'> & {
  digest: Buffer;
  media_type: string | null;
  executable: boolean | number;
  proven: boolean | number;
  lost: boolean | number;
};

function fromRow(row: Row): FileRecord {
  return {
    path: row.path,
    digest: digestFromBytes(row.digest),
    size: row.size,
    media_type: row.media_type ?? USUAL_MEDIA_TYPE,
    mtime: row.mtime,
    executable: Boolean(row.executable),
    proven: Boolean(row.proven),
    lost: Boolean(row.lost),
    deleted_at: row.deleted_at,
  };
}

/** Of a row `f`. A blob's digest is looked up for each: PostgreSQL is left no other plan. */
const COLUMNS = `f.path, (select b.digest from blobs b where b.no = f.blob_no) as digest, f.size, f.media_type, f.mtime,
  f.executable, ${isProven('f')} as proven, ${isLost('f.blob_no')} as lost, ${deletedAt('f')} as deleted_at`;

/** What most files are is not written into each of their rows. */
const USUAL_MEDIA_TYPE = 'application/octet-stream';
/** So many unproven files are looked up one by one; of more, the package is read until enough are found. */
const UNPROVEN_SOUGHT = 1_000;

/** The files of packages. Whoever changes them holds the package row's lock. */
export function fileTable(db: Knex) {
  async function pathsOf(packageId: PackageId, condition: string, limit: number): Promise<LogicalPath[]> {
    const query = filesOf(packageId).whereRaw(condition);
    const rows: Array<{ path: LogicalPath }> = await query.orderBy('path').limit(limit).select('path');
    return rows.map(({ path }) => path);
  }

  function filesOf(packageId: PackageId): Knex.QueryBuilder {
    return db('package_files as f').whereRaw(`f.package_no = ${PACKAGE_NO}`, [packageId]);
  }

  /**
   * The next files of a package as `f`, in the order of the path's bytes. Where the package ends is asked of what was found: of the
   * index PostgreSQL is given no end, or it may read all files of a package that is new to its statistics, and sort them.
   */
  function pageOf(packageId: PackageId, after: string | null, limit: number): Knex.QueryBuilder {
    const next = db('package_files as f')
      .whereRaw(`(f.package_no, f.path) > (${PACKAGE_NO}, ?)`, [packageId, after ?? ''])
      .orderByRaw('f.package_no, f.path')
      .limit(limit);
    return db
      .from(next.as('f'))
      .whereRaw(`f.package_no = ${PACKAGE_NO}`, [packageId])
      .orderByRaw('f.package_no, f.path');
  }

  /** Paths without proven bytes, in order. */
  async function unproven(packageId: PackageId, limit: number): Promise<LogicalPath[]> {
    const query = db('unproven_contents').whereRaw(`package_no = ${PACKAGE_NO}`, [packageId]);
    const some: unknown[] = await query.limit(UNPROVEN_SOUGHT + 1).select('blob_no');
    if (some.length === 0) return [];
    if (some.length > UNPROVEN_SOUGHT) return pathsOf(packageId, `not ${isProven('f')}`, limit);
    const files = isPostgres(db)
      ? `cross join lateral (
           select f.path, f.size from package_files f where f.blob_no = u.blob_no and f.package_no = u.package_no offset 0) f
         where u.package_no = ${PACKAGE_NO} and f.size = u.size`
      : `cross join package_files f where u.package_no = ${PACKAGE_NO}
           and f.blob_no = u.blob_no and f.package_no = u.package_no and f.size = u.size`;
    const rows: Array<{ path: LogicalPath }> = rowsOf(
      await db.raw(`select f.path as path from unproven_contents u ${files} order by f.path limit ?`, [
        packageId,
        limit,
      ]),
    );
    return rows.map(({ path }) => path);
  }

  return {
    ...fileConflicts(db),
    ...fileProofs(db),
    ...deletedFiles(db),
    ...expiringFiles(db),
    ...folderContents(db),
    ...findFiles(db),

    async get(packageId: PackageId, path: LogicalPath): Promise<FileRecord | null> {
      const row: Row | undefined = await filesOf(packageId).where({ path }).first(db.raw(COLUMNS));
      return row ? fromRow(row) : null;
    },

    /** In the order of the path's bytes. */
    async page(packageId: PackageId, after: string | null, limit: number): Promise<FileRecord[]> {
      return ((await pageOf(packageId, after, limit).select(db.raw(COLUMNS))) as Row[]).map(fromRow);
    },

    /** The same of those alone that were removed. */
    async deletedPage(packageId: PackageId, after: string | null, limit: number): Promise<FileRecord[]> {
      const rows: Row[] = rowsOf(
        await db.raw(
          `select ${COLUMNS} from deleted_files x cross join package_files f
           where x.package_no = ${PACKAGE_NO} and x.path > ? and f.package_no = x.package_no and f.path = x.path
           order by x.path limit ?`,
          [packageId, after ?? '', limit],
        ),
      );
      return rows.map(fromRow);
    },

    /** The same of those alone whose bytes were not proven, or are lost. */
    async missingPage(packageId: PackageId, after: string | null, limit: number): Promise<FileRecord[]> {
      const anyLost = (await db('lost_blobs').first('blob_no')) !== undefined;
      // Mostly there are neither, and no file needs to be looked at.
      if (!anyLost && (await unproven(packageId, 1)).length === 0) return [];
      const missing = filesOf(packageId)
        .whereRaw(`f.path > ? and (not ${isProven('f')} or ${isLost('f.blob_no')}) and ${deletedAt('f')} is null`, [
          after ?? '',
        ])
        .orderBy('path')
        .limit(limit);
      return ((await missing.select(db.raw(COLUMNS))) as Row[]).map(fromRow);
    },

    /** Ids of the objects that the bytes of such a page are read from, each once; of files that are empty or unproven, none. */
    async objectsOfPage(packageId: PackageId, after: string | null, limit: number): Promise<string[]> {
      const page = pageOf(packageId, after, limit).select('f.package_no', 'f.blob_no', 'f.size');
      const blob = isPostgres(db) ? 'lateral (select * from blobs x where x.no = f.blob_no offset 0)' : 'blobs';
      const rows: Array<{ id: string }> = rowsOf(
        await db.raw(
          `select o.id as id from (
             select distinct ${bestObject('b')} as no from (?) f cross join ${blob} b
             where b.no = f.blob_no and f.size > 0 and ${isProven('f')}) h
           cross join objects o where o.no = h.no`,
          [page],
        ),
      );
      return rows.map(({ id }) => id);
    },

    /** A text that no key of a path stands behind: a path or a key of the package; null: it has no files. */
    async lastKey(packageId: PackageId): Promise<string | null> {
      const of = `from package_files f where f.package_no = ${PACKAGE_NO}`;
      const [last] = rowsOf<{ path: string | null; path_key: string | null }>(
        await db.raw(
          `select (select f.path ${of} order by f.path desc limit 1) as path,
             (select f.path_key ${of} and f.path_key is not null order by f.path_key desc limit 1) as path_key`,
          [packageId, packageId],
        ),
      );
      return laterOf(last?.path ?? null, last?.path_key ?? null);
    },

    /** The package's files among these paths, by path. */
    async atPaths(packageId: PackageId, paths: readonly LogicalPath[]): Promise<Map<LogicalPath, FileRecord>> {
      const wanted = pathRows(db, paths);
      const rows: Row[] = isPostgres(db)
        ? rowsOf(await db.raw(`select ${COLUMNS} from ? r ${fileAtEach('*')}`, [wanted, packageId]))
        : await filesOf(packageId)
            .whereIn('path', db.select('path').from(db.raw('? r', [wanted])))
            .select(db.raw(COLUMNS));
      return new Map(rows.map((row) => [row.path, fromRow(row)]));
    },

    /** Adds files, or replaces those with the same path. */
    async put(packageId: PackageId, files: readonly PutFile[]): Promise<void> {
      const sorted = byDigest(files);
      await addBlobs(db, wantedRows(db, files));
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
        },
        sorted.map((file) => {
          const key = pathKey(file.path);
          return [
            file.path,
            key === file.path ? null : key,
            digestHex(file.digest),
            file.size,
            file.media_type === USUAL_MEDIA_TYPE ? null : file.media_type,
            file.mtime,
            file.executable,
          ];
        }),
      );
      await db.raw(
        `insert into package_files (package_no, path, path_key, blob_no, size, media_type, mtime, executable)
         select ${PACKAGE_NO}, r.path, r.path_key, b.no, r.size, r.media_type, r.mtime, r.executable from ? where true
         on conflict (package_no, path) do update set blob_no = excluded.blob_no, size = excluded.size,
           media_type = excluded.media_type, mtime = excluded.mtime, executable = excluded.executable`,
        [packageId, blobOfEach(db, rows)],
      );
      const [proven, unproven] = [true, false].map((is) => sorted.filter((file) => file.proven === is));
      if (unproven?.length) await noteUnproven(db, packageId, wantedRows(db, unproven));
      if (proven?.length) await forgetUnproven(db, packageId, wantedRows(db, proven));
    },

    async remove(packageId: PackageId, path: LogicalPath): Promise<void> {
      await db('package_files').whereRaw(`package_no = ${PACKAGE_NO}`, [packageId]).where({ path }).delete();
    },

    unproven,

    /** Paths without proven bytes, or whose bytes are lost, in order. */
    async missing(packageId: PackageId, limit: number): Promise<LogicalPath[]> {
      const paths = await unproven(packageId, limit);
      if (!(await db('lost_blobs').first('blob_no'))) return paths;
      const lost = await pathsOf(packageId, `${isProven('f')} and ${isLost('f.blob_no')}`, limit);
      return [...paths, ...lost].toSorted(comparePaths).slice(0, limit);
    },

    async totals(packageId: PackageId): Promise<{ file_count: number; total_size: number }> {
      const row = (await filesOf(packageId).first(
        db.raw('count(*) as file_count, coalesce(sum(size), 0) as total_size'),
      )) as Record<string, unknown>;
      return { file_count: Number(row.file_count), total_size: Number(row.total_size) };
    },

    /** Where the bytes of these files are; empty files and unproven ones are left out. */
    async locate(packageId: PackageId, paths: readonly LogicalPath[]): Promise<FileLocation[]> {
      const found = isPostgres(db)
        ? `? r ${fileAtEach('*')} cross join lateral (select * from blobs x where x.no = f.blob_no offset 0) b
           where ${isProven('f')}`
        : `? r cross join package_files f cross join blobs b
           where f.package_no = ${PACKAGE_NO} and f.path = r.path and b.no = f.blob_no and ${isProven('f')}`;
      const blobs = db.raw(found, [pathRows(db, paths), packageId]);
      const rows = await located<{ path: LogicalPath; size: number }>(
        db,
        blobs,
        { path: 'f.path', size: 'f.size' },
        'path',
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
 * For PostgreSQL: the package's file at the path of each row `r` of a recordset, as `f`, by a look into the index for each. Only
 * the primary key begins with a package, and both of its columns are said to be equal: that promises one row, whatever is known of
 * the package.
 */
function fileAtEach(columns: string): string {
  return `cross join lateral (
    select ${columns} from package_files f where f.package_no = ${PACKAGE_NO} and f.path = r.path offset 0) f`;
}

export type FileTable = ReturnType<typeof fileTable>;

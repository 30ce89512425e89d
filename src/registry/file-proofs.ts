import type { Knex } from 'knex';
import { type Digest, digestFromBytes, digestHex } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import { LIVING_STATUSES } from '../core/package-state.ts';
import { isThere } from './deleted-files.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { blobOfEach, PACKAGE_NO } from './numbers.ts';
import { isLost } from './object-states.ts';
import type { Reads } from './reads.ts';
import { byDigest, recordset } from './recordset.ts';

/** A blob that a package's file needs. */
export interface Wanted {
  digest: Digest;
  size: number;
}

/** Which blobs a package's files need, and whose bytes are proven, to whom (invariant 7). */
export function fileProofs(db: Knex) {
  return {
    /**
     * Which of these blobs the caller has a right to: proven in a living package that it may read, this one included, and
     * their bytes are not lost. Everything else looks the same to it, whether the store has the bytes or not (invariant 7).
     * @returns digest → size; a digest asked for with another size is not in it
     */
    async provableBy(reads: Reads, packageId: PackageId, wanted: readonly Wanted[]): Promise<Map<Digest, number>> {
      const rows: Array<{ digest: Buffer; size: number }> = rowsOf(
        await db.raw(`select r.digest as digest, r.size as size from ? where ? and not ${isLost('b.no')}`, [
          blobOfEach(db, wantedRows(db, wanted)),
          provenFor(db, reads, packageId, 'b.no', 'r.size'),
        ]),
      );
      return new Map(rows.map((row) => [digestFromBytes(row.digest), row.size]));
    },

    /** Proves every file of the package that has one of these blobs. @returns how many there are */
    async prove(packageId: PackageId, blobs: readonly Wanted[]): Promise<number> {
      const rows = wantedRows(db, blobs);
      await forgetUnproven(db, packageId, rows);
      const [found] = rowsOf<{ files: number }>(
        await db.raw('select count(*) as files from ?', [filesWith(db, packageId, rows)]),
      );
      return Number(found?.files);
    },

    /**
     * Of these blobs, each once, those whose bytes the package does not wait for, and why: it has no file with this digest and size,
     * or they are proven in it, and not lost. Mostly there are none.
     */
    async notMissing(packageId: PackageId, blobs: readonly Wanted[]): Promise<Map<Digest, 'unknown' | 'proven'>> {
      const known = hasFileWith(db, packageId);
      const proven = `${isProvenIn(PACKAGE_NO, 'b.no', 'r.size')} and not ${isLost('b.no')}`;
      const rows: Array<{ digest: Buffer; known: boolean | number }> = rowsOf(
        await db.raw(`select r.digest as digest, ? as known from ? where not ? or (${proven})`, [
          known,
          blobOfEach(db, wantedRows(db, blobs), 'with nulls'),
          known,
          packageId,
        ]),
      );
      return new Map(rows.map((row) => [digestFromBytes(row.digest), row.known ? 'proven' : 'unknown']));
    },
  };
}

/**
 * A condition on a row of package_files: its bytes are proven. Whose are not stands in a table of its own, by package, blob and
 * size: a proof is of a package's blob, wherever in the package it is. Rows there whose files are gone mean nothing.
 */
export function isProven(alias: string): string {
  return isProvenIn(`${alias}.package_no`, `${alias}.blob_no`, `${alias}.size`);
}

function isProvenIn(packageNo: string, blobNo: string, size: string): string {
  // In these words PostgreSQL looks one up for each, and takes half of them for proven.
  return `coalesce((select false from unproven_contents u
    where u.package_no = ${packageNo} and u.blob_no = ${blobNo} and u.size = ${size}), true)`;
}

/** From now on these blobs are not proven in the package. @param rows a recordset of digest and size */
export async function noteUnproven(db: Knex, packageId: PackageId, rows: Knex.Raw): Promise<void> {
  await db.raw(
    `insert into unproven_contents (package_no, blob_no, size) select ${PACKAGE_NO}, b.no, r.size from ? where true
     on conflict (package_no, blob_no, size) do nothing`,
    [packageId, blobOfEach(db, rows)],
  );
}

/** From now on these blobs are proven in the package. @param rows a recordset of digest and size */
export async function forgetUnproven(db: Knex, packageId: PackageId, rows: Knex.Raw): Promise<void> {
  const blobs = blobOfEach(db, rows);
  // By their places in the table: PostgreSQL would read all that is unproven of a package that is new to its statistics. Nobody moves
  // them meanwhile: whoever changes files has locked the package in a statement before.
  const sql = isPostgres(db)
    ? `delete from unproven_contents where ctid = any(array(
         select u.ctid from ? cross join lateral (
           select u.ctid from unproven_contents u
           where u.package_no = ${PACKAGE_NO} and u.blob_no = b.no and u.size = r.size offset 0) u))`
    : `delete from unproven_contents where package_no = ${PACKAGE_NO} and (blob_no, size) in (select b.no, r.size from ?)`;
  await db.raw(sql, isPostgres(db) ? [blobs, packageId] : [packageId, blobs]);
}

/**
 * A condition: a blob is proven in a living package that the caller may read, or in this package, which it may; a file that was
 * removed from its package proves nothing. The first such
 * file decides, however many have the blob: PostgreSQL is made to look into the index by blob, whose order no other index has,
 * for each. Of a join it would read them all, for each again. @param blobNo an expression, as is `size`
 */
export function provenFor(db: Knex, reads: Reads, packageId: PackageId, blobNo: string, size: string): Knex.Raw {
  const producers = 'all' in reads ? null : reads.producers;
  const placeholders = (values: readonly unknown[]) => values.map(() => '?').join(', ');
  const readable =
    producers === null
      ? ''
      : `and (p.id = ? ${producers.length === 0 ? '' : `or p.producer in (${placeholders(producers)})`})`;
  const living = `p.status in (${placeholders(LIVING_STATUSES)})`;
  // Files whose blob is proven have its size. Were it asked for within, PostgreSQL would expect so few that it sorted all of them. Where
  // there is none the answer is no, not NULL, whose negation is not true either.
  const condition = isPostgres(db)
    ? `coalesce((select f.size from package_files f
       where f.blob_no >= ${blobNo} and f.blob_no <= ${blobNo} and ${isProven('f')}
         and (select ${living} ${readable} and ${isThere('f', 'p')} from packages p where p.no = f.package_no)
       order by f.blob_no, f.package_no limit 1) = ${size}, false)`
    : `exists (select 1 from package_files f join packages p on p.no = f.package_no
       where f.blob_no = ${blobNo} and f.size = ${size} and ${isProven('f')} and ${living} ${readable} and ${isThere('f', 'p')})`;
  return db.raw(condition, [...LIVING_STATUSES, ...(producers === null ? [] : [packageId, ...producers])]);
}

/**
 * A recordset of `digest` and `size`, each once, in the order in which digests stand in their indexes: of a large one each page
 * on the way is then read once for all of them, and is still in memory when the same batch is written (docs/performance.md).
 */
export function wantedRows(db: Knex, wanted: readonly Wanted[]): Knex.Raw {
  const sorted = byDigest(wanted);
  // A directory may hold the same bytes a thousand times.
  const distinct = sorted.filter(({ digest, size }, place) => {
    const before = sorted[place - 1];
    return before?.digest !== digest || before.size !== size;
  });
  const cells = distinct.map(({ digest, size }) => [digestHex(digest), size]);
  return recordset(db, { digest: 'bytes', size: 'integer' }, cells);
}

/**
 * The package's files that have one of these blobs, as `f`. OFFSET keeps PostgreSQL from joining in another way than by a look for
 * each. @param rows a recordset of digest and size
 */
function filesWith(db: Knex, packageId: PackageId, rows: Knex.Raw): Knex.Raw {
  const files = isPostgres(db)
    ? 'cross join lateral (select f.size from package_files f where ? offset 0) f'
    : 'cross join package_files f where ?';
  return db.raw(`? ${files}`, [blobOfEach(db, rows), isFileWith(db, packageId)]);
}

/** A condition: the package has a file with the blob `b`, and the size of the row `r`. */
function hasFileWith(db: Knex, packageId: PackageId): Knex.Raw {
  return db.raw('coalesce((select true from package_files f where ? limit 1), false)', [isFileWith(db, packageId)]);
}

/**
 * A condition on a row of package_files: it is the package's, and has the blob `b` and the size of the row `r`. PostgreSQL is made
 * to look into the index by blob: no other index has the order that the comparison of rows asks for. That the numbers are equal
 * follows from it, but only said it tells PostgreSQL that few rows are: else it reads a table of ten million.
 */
function isFileWith(db: Knex, packageId: PackageId): Knex.Raw {
  return isPostgres(db)
    ? db.raw(
        `f.blob_no = b.no and (f.blob_no, f.package_no) >= (b.no, ${PACKAGE_NO})
         and (f.blob_no, f.package_no) <= (b.no, ${PACKAGE_NO}) and f.size = r.size`,
        [packageId, packageId],
      )
    : db.raw(`f.blob_no = b.no and f.package_no = ${PACKAGE_NO} and f.size = r.size`, [packageId]);
}

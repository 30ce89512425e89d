import type { Knex } from 'knex';
import { type Digest, digestFromBytes, digestHex } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import { LIVING_STATUSES } from '../core/package-state.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { isLost } from './lost-blobs.ts';
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
        await db.raw(`select r.digest as digest, r.size as size from ? r where ? and not ${isLost('r.digest')}`, [
          wantedRows(db, wanted),
          provenFor(db, reads, packageId, 'r'),
        ]),
      );
      return new Map(rows.map((row) => [digestFromBytes(row.digest), row.size]));
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

    /** Of these blobs: which ones files of the package need, and whether each is proven everywhere in it, and not lost. */
    async wantedBy(packageId: PackageId, wanted: readonly Wanted[]): Promise<Map<Digest, { proven: boolean }>> {
      const rows: Array<{ digest: Buffer; unproven: number }> = rowsOf(
        await db.raw(
          `select f.digest as digest,
             sum(case when f.proven = true and not ${isLost('f.digest')} then 0 else 1 end) as unproven
           from ? group by f.digest`,
          [filesWith(db, packageId, wanted)],
        ),
      );
      return new Map(rows.map((row) => [digestFromBytes(row.digest), { proven: Number(row.unproven) === 0 }]));
    },
  };
}

/**
 * A condition: the blob of the row `alias` (its `digest` and `size`) is proven in a living package that the caller may
 * read, or in this package, which it may. The first such file decides, however many have the blob: PostgreSQL is made to look
 * into the index by digest, whose order no other index has, for each row. Of a join it would read them all, for each row again.
 */
export function provenFor(db: Knex, reads: Reads, packageId: PackageId, alias: string): Knex.Raw {
  const producers = 'all' in reads ? null : reads.producers;
  const placeholders = (values: readonly unknown[]) => values.map(() => '?').join(', ');
  const readable =
    producers === null
      ? ''
      : `and (p.id = ? ${producers.length === 0 ? '' : `or p.producer in (${placeholders(producers)})`})`;
  const living = `p.status in (${placeholders(LIVING_STATUSES)})`;
  // Files of one digest have one size. Were it asked for within, PostgreSQL would expect so few that it sorted all of them. Where
  // there is none the answer is no, not NULL, whose negation is not true either.
  const condition = isPostgres(db)
    ? `coalesce((select f.size from package_files f
       where f.digest >= ${alias}.digest and f.digest <= ${alias}.digest and f.proven = true
         and (select ${living} ${readable} from packages p where p.id = f.package_id)
       order by f.digest, f.package_id limit 1) = ${alias}.size, false)`
    : `exists (select 1 from package_files f join packages p on p.id = f.package_id
       where f.digest = ${alias}.digest and f.size = ${alias}.size and f.proven = true and ${living} ${readable})`;
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

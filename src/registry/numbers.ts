import type { Knex } from 'knex';
import { isPostgres } from './dialect.ts';

/**
 * Inside, packages, objects and blobs have integers as their keys, which make the rows of files and their indexes small. Outside
 * of the registry everything goes by public ids and digests: here one becomes the other.
 */

/** The number of the package whose id is the parameter; null: there is none. */
export const PACKAGE_NO = '(select no from packages where id = ?)';

/**
 * The rows `r` of a recordset that has a `digest`, each beside its blob as `b`. By a look into the index for each, on PostgreSQL
 * too: OFFSET keeps it from joining in another way. @param others what becomes of rows whose digest has no blob
 */
export function blobOfEach(db: Knex, rows: Knex.Raw, others: 'left out' | 'with nulls' = 'left out'): Knex.Raw {
  if (isPostgres(db)) {
    const join = others === 'left out' ? 'inner' : 'left';
    const blob = 'lateral (select * from blobs x where x.digest = r.digest offset 0) b on true';
    return db.raw(`? r ${join} join ${blob}`, [rows]);
  }
  return db.raw(`? r ${others === 'left out' ? 'cross' : 'left'} join blobs b on b.digest = r.digest`, [rows]);
}

/** Makes the rows of those blobs that have none yet. @param rows a recordset with a `digest`, in the order of digests */
export async function addBlobs(db: Knex, rows: Knex.Raw): Promise<void> {
  // PostgreSQL draws a number for each row that it tries, and is told the order, in which two that meet wait for each other.
  const those = isPostgres(db)
    ? '(select b.no from blobs b where b.digest = r.digest) is null order by r.digest'
    : 'true';
  await db.raw(`insert into blobs (digest) select r.digest from ? r where ${those} on conflict (digest) do nothing`, [
    rows,
  ]);
}

import type { Knex } from 'knex';
import { rowsOf } from './dialect.ts';
import { bestObject } from './object-states.ts';

/** Which object a blob is read from, and where in it. */
export interface Located {
  digest: Buffer;
  object_id: string;
  offset: number;
}

/**
 * Where blobs are read from; those that nothing has held are left out. In the order of objects, and of places in them.
 * @param blobs what follows FROM, with blobs as `b` @param columns more of it, by name @param order by what, at one place
 */
export async function located<Row>(
  db: Knex,
  blobs: Knex.Raw,
  columns: Record<string, string>,
  order: string,
): Promise<Array<Row & Located>> {
  const more = Object.entries(columns);
  // Which object it is decides where in it: once for each, hence materialized.
  return rowsOf(
    await db.raw(
      `with found as materialized (
         select ${more.map(([name, of]) => `${of} as ${name}, `).join('')}b.digest as digest, b.no as blob_no, b.object_no as first_no, b."offset" as first_offset,
           ${bestObject('b')} as object_no
         from ?)
       select ${more.map(([name]) => `${name}, `).join('')}digest,
         (select o.id from objects o where o.no = found.object_no) as object_id,
         case when object_no = first_no then first_offset else (
           select l."offset" from blob_locations l where l.blob_no = found.blob_no and l.object_no = found.object_no)
         end as "offset"
       from found where object_no is not null order by object_no, "offset", ${order}`,
      [blobs],
    ),
  );
}

import type { Knex } from 'knex';
import { isPostgres, rowsOf } from './dialect.ts';
import { idRows } from './recordset.ts';

/**
 * An object is live until its bytes are found to be gone; then it is lost, until they are found again. A blob that no live
 * object holds is lost too: whoever needs its bytes must send them again. Which blobs are follows from the objects' states, and
 * stands in a table of its own, which is nearly always empty.
 */
export type ObjectState = 'live' | 'lost';

/** A condition: this blob has lost its bytes. @param blobNo an expression */
export function isLost(blobNo: string): string {
  return `exists (select 1 from lost_blobs x where x.blob_no = ${blobNo})`;
}

/** A condition. @param objectNo an expression */
function isLive(objectNo: string): string {
  return `(select o.state from objects o where o.no = ${objectNo}) = 'live'`;
}

/** The first live object among a blob's further locations. */
function firstLive(blob: string): string {
  return `(select x.object_no from blob_locations x where x.blob_no = ${blob}.no and ${isLive('x.object_no')}
    order by x.object_no limit 1)`;
}

/**
 * The number of the object that a blob is read from: the first live one, or the first of those that are lost, which may be there
 * again. Null: none has held it. @param blob the alias of its row
 */
export function bestObject(blob: string): string {
  return `case when ${isLive(`${blob}.object_no`)} then ${blob}.object_no
    else coalesce(${firstLive(blob)}, ${blob}.object_no) end`;
}

/** The numbers of all blobs that the objects with the ids of the rows `r` hold, as a query. */
function blobsWithin(rows: Knex.Raw, db: Knex): Knex.Raw {
  return db.raw(
    `select b.no from ? r cross join objects o cross join blobs b where o.id = r.id and b.object_no = o.no
     union select l.blob_no from ? r cross join objects o cross join blob_locations l
     where o.id = r.id and l.object_no = o.no`,
    [rows, rows],
  );
}

/** Moves of objects from one state to the other. In a transaction, which takes the rows' locks of all their blobs first. */
export function objectStates(db: Knex) {
  return {
    /** @returns those that were live */
    async markLost(ids: readonly string[]): Promise<string[]> {
      const moved = await move(ids, 'live', 'lost');
      await db.raw(
        `insert into lost_blobs (blob_no) select b.no from (?) h cross join blobs b
         where b.no = h.no and not ${isLive('b.object_no')} and ${firstLive('b')} is null
         on conflict (blob_no) do nothing`,
        [blobsWithin(idRows(db, ids), db)],
      );
      return moved;
    },

    /** @returns those that were lost */
    async markLive(ids: readonly string[]): Promise<string[]> {
      const moved = await move(ids, 'lost', 'live');
      await db.raw('delete from lost_blobs where blob_no in (?)', [blobsWithin(idRows(db, ids), db)]);
      return moved;
    },

    /** How many objects are lost; at most so many are counted. */
    async countLost(atMost: number): Promise<number> {
      const rows: unknown[] = await db('objects')
        .whereRaw(`state <> 'live' and state = 'lost'`)
        .limit(atMost)
        .select('no');
      return rows.length;
    },
  };

  async function move(ids: readonly string[], from: ObjectState, to: ObjectState): Promise<string[]> {
    if (isPostgres(db)) {
      // An upload that adds a location has locked the blob: it is seen here, or it sees what is done here.
      await db.raw('select b.no from blobs b where b.no in (?) order by b.digest for no key update', [
        blobsWithin(idRows(db, ids), db),
      ]);
      await db.raw('select o.no from objects o where o.id in (select r.id from ? r) order by o.no for no key update', [
        idRows(db, ids),
      ]);
    }
    const rows: Array<{ id: string }> = rowsOf(
      await db.raw('update objects set state = ? where state = ? and id in (select r.id from ? r) returning id', [
        to,
        from,
        idRows(db, ids),
      ]),
    );
    return rows.map(({ id }) => id);
  }
}

import type { Knex } from 'knex';
import { isPostgres, rowsOf } from './dialect.ts';
import { idRows } from './recordset.ts';

/**
 * An object is live until its bytes are found to be gone; then it is lost, until they are found again. A blob that no live
 * object holds is lost too: whoever needs its bytes must send them again. Which blobs are follows from the objects' states, and
 * stands in a table of its own, which is nearly always empty.
 */
export type ObjectState = 'live' | 'lost';

/** A condition: the blob with this digest has lost its bytes. @param digest a column */
export function isLost(digest: string): string {
  return `exists (select 1 from lost_blobs x where x.digest = ${digest})`;
}

/** A condition on a location. */
function inLiveObject(alias: string): string {
  return `(select o.state from objects o where o.id = ${alias}.object_id) = 'live'`;
}

/**
 * The object that a blob is read from: the first live one, or the first of those that are lost, which may be there again.
 * @param digest a column
 */
export function bestObject(digest: string): string {
  const holding = `select x.object_id from blob_locations x where x.digest = ${digest}`;
  // The first ones in the index decide, however many there are.
  return `coalesce(
    (${holding} and ${inLiveObject('x')} order by x.object_id limit 1),
    (${holding} order by x.object_id limit 1))`;
}

/** Moves of objects from one state to the other. In a transaction, which takes the rows' locks of all their blobs first. */
export function objectStates(db: Knex) {
  return {
    /** @returns those that were live */
    async markLost(ids: readonly string[]): Promise<string[]> {
      const moved = await move(ids, 'live', 'lost');
      await db.raw(
        `insert into lost_blobs (digest) select distinct l.digest from ? r cross join blob_locations l
         where l.object_id = r.id and not exists (
           select 1 from blob_locations x where x.digest = l.digest and ${inLiveObject('x')})
         on conflict (digest) do nothing`,
        [idRows(db, ids)],
      );
      return moved;
    },

    /** @returns those that were lost */
    async markLive(ids: readonly string[]): Promise<string[]> {
      const moved = await move(ids, 'lost', 'live');
      await db.raw(
        `delete from lost_blobs where digest in (
           select l.digest from ? r cross join blob_locations l where l.object_id = r.id)`,
        [idRows(db, ids)],
      );
      return moved;
    },

    /** How many objects are lost; at most so many are counted. */
    async countLost(atMost: number): Promise<number> {
      const rows: unknown[] = await db('objects')
        .whereRaw(`state <> 'live' and state = 'lost'`)
        .limit(atMost)
        .select('id');
      return rows.length;
    },
  };

  async function move(ids: readonly string[], from: ObjectState, to: ObjectState): Promise<string[]> {
    const ofBlobs = `select b.digest from blobs b where b.digest in (
      select l.digest from ? r cross join blob_locations l where l.object_id = r.id) order by b.digest`;
    const ofObjects = `select o.id from objects o where o.id in (select r.id from ? r) order by o.id`;
    if (isPostgres(db)) {
      // An upload that adds a location has locked the blob: it is seen here, or it sees what is done here.
      await db.raw(`${ofBlobs} for no key update`, [idRows(db, ids)]);
      await db.raw(`${ofObjects} for no key update`, [idRows(db, ids)]);
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

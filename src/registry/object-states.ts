import type { Knex } from 'knex';
import { type Digest, digestFromBytes } from '../core/digest.ts';
import { canMoveObject, HOLDING_STATES, type ObjectState, READABLE_STATES } from '../core/object-state.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { blobOfEach } from './numbers.ts';
import { HOLDS_FILES } from './object-record.ts';
import { digestRows, idRows } from './recordset.ts';

/*
 * A blob that no object holds is lost: whoever needs its bytes must send them again. Which blobs are follows from the states of
 * objects and from what is quarantined, and stands in a table of its own, which is nearly always empty.
 */

/** A condition: this blob has lost its bytes. @param blobNo an expression */
export function isLost(blobNo: string): string {
  return `exists (select 1 from lost_blobs x where x.blob_no = ${blobNo})`;
}

/** The states whose bytes count, as a list of SQL. */
export const HOLDING = HOLDING_STATES.map((state) => `'${state}'`).join(', ');

/** A condition on the row of an object: its bytes count. */
export function isHolding(object: string): string {
  return `${object}.state in (${HOLDING})`;
}

/** A condition: what usually holds a blob does. @param blob the alias of its row */
function isPlain(blob: string): string {
  return `${blob}.quarantined_at is null and (select o.state from objects o where o.no = ${blob}.object_no) = 'live'`;
}

/** All objects of a blob whose bytes there are not known to be wrong, as `o`. */
function objectsOf(blob: string): string {
  return `(select ${blob}.object_no as no where ${blob}.quarantined_at is null
      union all select l.object_no from blob_locations l where l.blob_no = ${blob}.no and l.quarantined_at is null) x
    cross join objects o where o.no = x.no`;
}

/**
 * The number of the object that a blob is read from: the first of those in the best state. Null: there is none.
 * @param blob the alias of its row
 */
export function bestObject(blob: string): string {
  const rank = READABLE_STATES.map((state, place) => `when '${state}' then ${place}`).join(' ');
  return `case when ${isPlain(blob)} then ${blob}.object_no else (
    select o.no from ${objectsOf(blob)} and o.state in (${READABLE_STATES.map((state) => `'${state}'`).join(', ')})
    order by case o.state ${rank} end, o.no limit 1) end`;
}

/** A condition: no object holds the blob. */
export function isHeldByNone(blob: string): string {
  return `not (${isPlain(blob)}) and not exists (select 1 from ${objectsOf(blob)} and ${isHolding('o')})`;
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

/**
 * Locks all blobs that these objects hold, in the order of their digests, then the objects. An upload that adds a location, and
 * whoever registers a file with known bytes, lock the blob too: each is seen by the other one's next statement. SQLite has one
 * writer. @param strength `update` also waits for those who retain (invariant 6)
 */
export async function lockBlobsOf(
  db: Knex,
  ids: readonly string[],
  strength: 'update' | 'no key update',
): Promise<void> {
  if (!isPostgres(db)) return;
  await db.raw(`select b.no from blobs b where b.no in (?) order by b.digest for ${strength}`, [
    blobsWithin(idRows(db, ids), db),
  ]);
  await db.raw('select o.no from objects o where o.id in (select r.id from ? r) order by o.no for no key update', [
    idRows(db, ids),
  ]);
}

/** Blobs of these objects that no object holds any more are lost. Under the locks of `lockBlobsOf`. */
export async function noteLost(db: Knex, ids: readonly string[]): Promise<void> {
  await db.raw(
    `insert into lost_blobs (blob_no) select b.no from (?) h cross join blobs b where b.no = h.no and ${isHeldByNone('b')}
     on conflict (blob_no) do nothing`,
    [blobsWithin(idRows(db, ids), db)],
  );
}

/** Moves of objects from state to state. In a transaction, which takes the rows' locks of all their blobs first. */
export function objectStates(db: Knex) {
  return {
    /** Of objects that storage does not have, or not whole. @returns those that were live, or condemned */
    async markLost(ids: readonly string[], now: number): Promise<string[]> {
      const moved = await move(ids, HOLDING_STATES, 'lost', now);
      await noteLost(db, ids);
      return moved;
    },

    /** Of objects that storage has again. Not of what was read and is damaged: its length says nothing. @returns those that were lost */
    async markFound(ids: readonly string[], now: number): Promise<string[]> {
      const damaged = `exists (select 1 from object_checks c where c.object_no = objects.no and c.result = 'damaged')`;
      const moved = await move(ids, ['lost'], 'live', now, `not ${damaged}`);
      await noteFound(ids);
      return moved;
    },

    /**
     * The bytes of these blobs in an object are known to be wrong: from now on they are not read from there.
     * @returns those of which it was not known
     */
    async quarantine(id: string, digests: readonly Digest[], now: number): Promise<Digest[]> {
      await lockBlobsOf(db, [id], 'no key update');
      const those = digestRows(db, digests);
      const blobs: Array<{ digest: Buffer }> = rowsOf(
        await db.raw(
          `update blobs set quarantined_at = ? where object_no = (select no from objects where id = ?)
           and quarantined_at is null and digest in (select r.digest from ? r) returning digest`,
          [now, id, those],
        ),
      );
      const others: Array<{ digest: Buffer }> = rowsOf(
        await db.raw(
          `update blob_locations set quarantined_at = ? where object_no = (select no from objects where id = ?)
           and quarantined_at is null and blob_no in (select b.no from blobs b where b.digest in (select r.digest from ? r))
           returning (select b.digest from blobs b where b.no = blob_no) as digest`,
          [now, id, those],
        ),
      );
      await noteLost(db, [id]);
      return [...blobs, ...others].map(({ digest }) => digestFromBytes(digest));
    },

    /** The bytes of all blobs in an object were read, and are right. */
    async release(id: string): Promise<void> {
      await lockBlobsOf(db, [id], 'no key update');
      for (const table of ['blobs', 'blob_locations'])
        await db.raw(
          `update ${table} set quarantined_at = null
           where object_no = (select no from objects where id = ?) and quarantined_at is not null`,
          [id],
        );
      await noteFound([id]);
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

  async function noteFound(ids: readonly string[]): Promise<void> {
    await db.raw(
      `delete from lost_blobs where blob_no in (
         select b.no from (?) h cross join blobs b where b.no = h.no and not (${isHeldByNone('b')}))`,
      [blobsWithin(idRows(db, ids), db)],
    );
  }

  async function move(
    ids: readonly string[],
    from: readonly ObjectState[],
    to: ObjectState,
    now: number,
    condition = 'true',
  ): Promise<string[]> {
    const illegal = from.find((state) => !canMoveObject(state, to));
    if (illegal !== undefined) throw new RangeError(`an object never goes from ${illegal} to ${to}`);
    await lockBlobsOf(db, ids, 'no key update');
    const rows: Array<{ id: string }> = rowsOf(
      await db.raw(
        `update objects set state = ?, state_since = ?${to === 'live' ? `, lock_wanted = (${HOLDS_FILES})` : ''}
         where state in (${from.map(() => '?').join(', ')}) and id in (select r.id from ? r) and ${condition} returning id`,
        [to, now, ...from, idRows(db, ids)],
      ),
    );
    return rows.map(({ id }) => id);
  }
}

/**
 * What was condemned of the objects that these blobs are read from is live again. Under locks of the blobs' rows, which whoever
 * condemns an object takes for update. @param rows a recordset with a `digest`
 */
export async function revive(db: Knex, rows: Knex.Raw, now: number): Promise<void> {
  if (!(await db('objects').whereRaw(`state <> 'live' and state = 'condemned'`).first('no'))) return;
  const condemned = db.raw(
    `select o.no from objects o where o.state <> 'live' and o.state = 'condemned' and o.no in (select ${bestObject('b')} from ?)`,
    [blobOfEach(db, rows)],
  );
  if (isPostgres(db)) await db.raw('? order by o.no for no key update', [condemned]);
  await db.raw(`update objects set state = 'live', state_since = ? where state = 'condemned' and no in (?)`, [
    now,
    condemned,
  ]);
}

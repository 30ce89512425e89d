import type { Knex } from 'knex';
import type { ObjectState } from '../core/object-state.ts';
import { LIVING_STATUSES } from '../core/package-state.ts';
import { isThere } from './deleted-files.ts';
import { rowsOf } from './dialect.ts';
import { IS_LOCKED } from './lock-conditions.ts';
import { HOLDS_FILES } from './object-record.ts';
import { lockBlobsOf, noteLost } from './object-states.ts';
import { idRows, recordset } from './recordset.ts';

/** An object, by its key inside the registry, as the sweep goes through them. */
export interface SweptObject {
  no: number;
  id: string;
  key: string;
  version_id: string | null;
  /** In storage; 0 of what is lost. */
  stored_size: number;
  state: ObjectState;
}

const COLUMNS = `o.no as no, o.id as id, o.key as key, o.version_id as version_id, o.state as state,
  case when o.state = 'lost' then 0 else o.stored_size end as stored_size`;
/** The statuses of living packages, as a list of SQL. */
export const LIVING = LIVING_STATUSES.map((status) => `'${status}'`).join(', ');

/** A condition: a file of a living package has the blob, proven or not, and was not removed from it. @param blobNo an expression */
export function isNeeded(blobNo: string): string {
  return `exists (select 1 from package_files f join packages p on p.no = f.package_no
    where f.blob_no = ${blobNo} and p.status in (${LIVING}) and ${isThere('f', 'p')})`;
}

/** A condition: a live object whose number is so to that of `o` holds the blob `b`, and its bytes there are not known to be wrong. */
function isHeldBy(so: '<>' | '>'): string {
  return `(
  (b.object_no ${so} o.no and b.quarantined_at is null and (select x.state from objects x where x.no = b.object_no) = 'live')
  or exists (select 1 from blob_locations m join objects x on x.no = m.object_no
    where m.blob_no = b.no and m.object_no ${so} o.no and m.quarantined_at is null and x.state = 'live'))`;
}

/** A condition: another live object than `o` holds the blob `b`. */
const IS_ELSEWHERE = isHeldBy('<>');

/**
 * A condition: a live object that is newer than `o` holds the blob `b`. Of those that have a blob the oldest are condemned first, so the
 * newest is the one that keeps it.
 */
export const IS_LATER = isHeldBy('>');

/** A condition: no blob that the object `o` holds is needed, or each that is has another place. */
function isUnneeded(orElsewhere: boolean): string {
  const needs = `${isNeeded('b.no')}${orElsewhere ? ` and not ${IS_ELSEWHERE}` : ''}`;
  return `not exists (select 1 from blobs b where b.object_no = o.no and ${needs})
    and not exists (select 1 from blob_locations l join blobs b on b.no = l.blob_no where l.object_no = o.no and ${needs})`;
}

/** A condition: bytes of the object `o` are known to be wrong. It is kept for whoever looks into that, as long as they are needed. */
export const IS_QUARANTINED = `(
  exists (select 1 from blobs b where b.object_no = o.no and b.quarantined_at is not null)
  or exists (select 1 from blob_locations l where l.object_no = o.no and l.quarantined_at is not null))`;

/**
 * A condition: nothing is lost with the object `o`. Of two places of the same bytes not the one goes that is locked for them. Its
 * parameter is the time, ms.
 */
const MAY_GO = `${isUnneeded(true)} and (${isUnneeded(false)} or not (${IS_QUARANTINED} or ${IS_LOCKED}))`;

/** When what is condemned, or lost, may be removed: since these times, ms, or longer. */
export interface Due {
  /** Of what no package needs. */
  unneeded: number;
  /** Of what has another place, and may still be read here by URLs that were signed before. */
  elsewhere: number;
  /** What storage keeps longer than this, ms, is not removed. */
  now: number;
}

/** Conditions: the object `o` is long enough in its state, and that state lets it be removed now. The parameters of the first are the first two of `Due`. */
const IS_OLD = `coalesce(o.state_since, o.created_at) <= case when ${isUnneeded(false)} then cast(? as bigint) else cast(? as bigint) end`;
/** What is lost was not condemned before: its bytes count for nobody, and so cannot become needed again. */
const IS_DUE = `${IS_OLD} and (o.state = 'condemned' or (o.state = 'lost' and ${MAY_GO})) and not ${IS_LOCKED}`;

/** Of IS_DUE. */
function parametersOf({ unneeded, elsewhere, now }: Due): number[] {
  return [unneeded, elsewhere, now, now];
}

/** Objects of blobs that no living package needs, and their way out of the registry. Manifests are never among them. */
export function unneededObjects(db: Knex) {
  /** Of the next `limit` objects those that match. @returns also where the next page begins; null: there is none */
  async function page(
    states: string,
    condition: string,
    after: number,
    limit: number,
    bindings: readonly number[] = [],
  ): Promise<{ objects: SweptObject[]; next: number | null }> {
    const rows: Array<SweptObject & { matches: boolean | number }> = rowsOf(
      await db.raw(
        `with page as materialized (
           select * from objects where no > ? and state in (${states}) and ${HOLDS_FILES} order by no limit ?)
         select ${COLUMNS}, case when ${condition} then true else false end as matches from page o order by o.no`,
        [after, limit, ...bindings],
      ),
    );
    const objects = rows.filter(({ matches }) => matches).map(({ matches: _, ...object }) => object);
    return { objects, next: rows.length < limit ? null : (rows.at(-1)?.no ?? null) };
  }

  /** One after the other: of two that hold the same bytes, the first to be condemned leaves the other one needed. */
  async function moveUnneeded(id: string, orElsewhere: boolean, now: number): Promise<boolean> {
    const kept = orElsewhere ? `and not (${IS_QUARANTINED} or ${IS_LOCKED})` : '';
    const rows = rowsOf(
      await db.raw(
        `update objects set state = 'condemned', state_since = ? where no in (
           select o.no from objects o where o.id = ? and o.state = 'live' and ${isUnneeded(orElsewhere)} ${kept})
         returning 1`,
        [now, id, ...(orElsewhere ? [now] : [])],
      ),
    );
    return rows.length > 0;
  }

  return {
    /** Whether an object, a page of which is looked at, may be condemned. Without locks: whoever condemns looks again. */
    listUnneeded: (after: number, limit: number, now: number) => page(`'live'`, MAY_GO, after, limit, [now]),

    /** Those whose time is over, and that are not locked: condemned; or lost, and not needed. */
    listDue: (due: Due, after: number, limit: number) =>
      page(`'condemned', 'lost'`, IS_DUE, after, limit, parametersOf(due)),

    /** Storage is being told to remove them, was when a process died, or refused because they were locked, and are no more. */
    listRemoving: (after: number, limit: number, now: number) =>
      page(`'removing'`, `not ${IS_LOCKED}`, after, limit, [now]),

    /** How many are condemned, and their bytes in storage. */
    async countCondemned(): Promise<{ objects: number; bytes: number }> {
      const row = await db('objects')
        .whereRaw(`state <> 'live' and state = 'condemned'`)
        .first(db.raw('count(*) as objects, coalesce(sum(stored_size), 0) as bytes'));
      return { objects: Number(row.objects), bytes: Number(row.bytes) };
    },

    /**
     * Condemns those of these objects that are not needed, seen under the locks of all blobs that they hold: whoever registers a file
     * with one of them was before, and is seen, or comes later, and makes the object live again (invariant 6).
     * @returns the ids of those that are condemned
     */
    async condemn(ids: readonly string[], now: number): Promise<string[]> {
      await lockBlobsOf(db, ids, 'update');
      const condemned: string[] = [];
      for (const orElsewhere of [false, true]) {
        for (const id of ids)
          if (!condemned.includes(id) && (await moveUnneeded(id, orElsewhere, now))) condemned.push(id);
      }
      return condemned;
    },

    /**
     * From now on the bytes of these objects count no more, and nothing takes that back. Only of those whose time is over, and that
     * are still not needed; what was condemned and is needed is live again.
     * @returns the ids of those that storage is to remove
     */
    async beginRemoving(ids: readonly string[], due: Due, now: number): Promise<string[]> {
      await lockBlobsOf(db, ids, 'update');
      const rows = idRows(db, ids);
      const bindings = [rows, due.unneeded, due.elsewhere];
      await db.raw(
        `update objects set state = 'live', state_since = ? where no in (
           select o.no from objects o where o.id in (select r.id from ? r) and ${IS_OLD} and o.state = 'condemned'
             and not (${isUnneeded(true)}))`,
        [now, ...bindings],
      );
      const removing: Array<{ id: string }> = rowsOf(
        await db.raw(
          `update objects set state = 'removing', state_since = ? where no in (
             select o.no from objects o where o.id in (select r.id from ? r) and ${IS_DUE}) returning id`,
          [now, rows, ...parametersOf(due)],
        ),
      );
      const gone = removing.map(({ id }) => id);
      if (gone.length > 0) await noteLost(db, gone);
      return gone;
    },

    /**
     * Storage has removed these: nothing is there any more. The rows stay, their keys are never used again.
     * @returns the ids of those that were being removed until now: another sweep may have been faster
     */
    async setGone(ids: readonly string[], now: number): Promise<string[]> {
      await lockBlobsOf(db, ids, 'update');
      const rows = idRows(db, ids);
      const gone: Array<{ id: string; no: number }> = rowsOf(
        await db.raw(
          `update objects set state = 'gone', state_since = ? where state = 'removing' and id in (select r.id from ? r)
           returning id, no`,
          [now, rows],
        ),
      );
      if (gone.length === 0) return [];
      const nos = gone.map(({ no }) => no);
      const those = nos.map(() => '?').join(', ');
      await db.raw(`delete from blob_locations where object_no in (${those})`, nos);
      // What else has the bytes becomes the first place.
      const other = (column: string): string =>
        `(select l.${column} from blob_locations l where l.blob_no = blobs.no order by l.object_no limit 1)`;
      const moved: Array<{ no: number; object_no: number | null }> = rowsOf(
        await db.raw(
          `update blobs set object_no = ${other('object_no')}, "offset" = ${other('"offset"')},
             quarantined_at = ${other('quarantined_at')},
             size = case when ${other('object_no')} is null then null else size end
           where object_no in (${those}) returning no, object_no`,
          nos,
        ),
      );
      const promoted = moved.filter(({ object_no }) => object_no !== null).map(({ no, object_no }) => [no, object_no]);
      await db.raw(
        'delete from blob_locations where (blob_no, object_no) in (select r.blob_no, r.object_no from ? r)',
        [recordset(db, { blob_no: 'integer', object_no: 'integer' }, promoted)],
      );
      // Of what nobody has sent, nothing is lost.
      await db.raw('delete from lost_blobs where (select b.object_no from blobs b where b.no = blob_no) is null');
      await db.raw(`delete from object_frames where object_no in (${those})`, nos);
      return gone.map(({ id }) => id);
    },
  };
}

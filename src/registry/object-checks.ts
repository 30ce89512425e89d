import type { Knex } from 'knex';
import { digestFromBytes } from '../core/digest.ts';
import type { Place } from '../core/object-survey.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { type DigestsAsBytes, type ObjectRecord, withDigests } from './object-record.ts';
import { idRows } from './recordset.ts';

/** What the last reading of an object found. `missing`: storage does not have it. */
export type CheckResult = 'good' | 'damaged' | 'missing';

/** An object that is to be read, and what is known of it. */
export interface CheckedObject extends Omit<ObjectRecord, 'created_at'> {
  no: number;
  result: CheckResult;
}

/** A blob's place in an object. */
export interface CheckedPlace extends Place {
  /** Its bytes there are known to be wrong. */
  quarantined: boolean;
}

export interface Overdue {
  objects: number;
  bytes: number;
}

type Row = DigestsAsBytes<CheckedObject>;

const COLUMNS = `o.no as no, o.id as id, o.kind as kind, o.key as key, o.version_id as version_id, o.digest as digest, o.size as size,
  o.stored_size as stored_size, o.stored_digest as stored_digest, o.encoding as encoding, o.state as state, c.result as result`;
/** What is lost may be there again. */
const READ = `o.state in ('live', 'condemned', 'lost')`;
/** Before every time: what is suspected is read first, whatever the period is. */
const AT_ONCE = -1e15;

/** When objects were read last, and who reads them next. */
export function objectCheckTable(db: Knex) {
  return {
    /** Of an object that was read. @param goodAt when it was right, ms; 0: nobody knows */
    async add(objectId: string, readAt: number, goodAt: number): Promise<void> {
      await db.raw(
        `insert into object_checks (object_no, turn_at, seen_at, good_at) select no, ?, ?, ? from objects where id = ?`,
        [readAt, readAt, goodAt, objectId],
      );
    },

    /** When the next one's turn is, ms; null: there is none. */
    async nextTurn(): Promise<number | null> {
      const row = await db('object_checks').orderBy('turn_at').first('turn_at');
      return row === undefined ? null : Number(row.turn_at);
    },

    /**
     * Takes the objects whose turn was at or before `until`, the oldest first: until `again` nobody else does. One statement, so any
     * number of services share the work, and no lock is held while they read.
     */
    async claim(until: number, limit: number, again: number): Promise<CheckedObject[]> {
      const locked = isPostgres(db) ? 'for update skip locked' : '';
      const claimed: Array<{ object_no: number }> = rowsOf(
        await db.raw(
          `update object_checks set turn_at = ? where object_no in (
             select object_no from object_checks where turn_at <= ? order by turn_at limit ? ${locked})
           returning object_no`,
          [again, until, limit],
        ),
      );
      const nos = claimed.map(({ object_no }) => object_no);
      if (nos.length === 0) return [];
      const those = nos.map(() => '?').join(', ');
      await db.raw(
        `delete from object_checks where object_no in (
           select o.no from objects o where o.no in (${those}) and o.state = 'gone')`,
        nos,
      );
      const rows: Row[] = rowsOf(
        await db.raw(
          `select ${COLUMNS} from object_checks c join objects o on o.no = c.object_no
           where c.object_no in (${those}) and ${READ} order by c.seen_at, o.no`,
          nos,
        ),
      );
      return rows.map(withDigests);
    },

    /** It is read next at `at`, ms, if nothing is found before. */
    async postpone(nos: readonly number[], at: number): Promise<void> {
      await db('object_checks').whereIn('object_no', nos).update({ turn_at: at });
    },

    /** The next objects by number. @param sample percent of them, by chance; null: all */
    async page(
      after: number,
      limit: number,
      sample: { percent: number; seed: number } | null,
    ): Promise<CheckedObject[]> {
      // Numbers that are near each other fall far apart.
      const chosen = sample === null ? 'true' : '((o.no * 7919 + ?) % 100003) * 100.0 < ? * 100003.0';
      const bindings = sample === null ? [] : [sample.seed, sample.percent];
      const rows: Row[] = rowsOf(
        await db.raw(
          `select ${COLUMNS} from objects o join object_checks c on c.object_no = o.no
           where o.no > ? and ${READ} and ${chosen} order by o.no limit ?`,
          [after, ...bindings, limit],
        ),
      );
      return rows.map(withDigests);
    },

    /** These objects, and those with these keys. */
    async getAmong(ids: readonly string[], keys: readonly string[] = []): Promise<CheckedObject[]> {
      const named = [...ids, ...keys];
      if (named.length === 0) return [];
      const list = (values: readonly string[]): string => values.map(() => '?').join(', ') || 'null';
      const rows: Row[] = rowsOf(
        await db.raw(
          `select ${COLUMNS} from objects o join object_checks c on c.object_no = o.no
           where (o.id in (${list(ids)}) or o.key in (${list(keys)})) and ${READ} order by o.no`,
          named,
        ),
      );
      return rows.map(withDigests);
    },

    /** When these objects were read last: the one that was read the longest time ago, ms, and how many were not found as they should be. */
    async lookedAt(ids: readonly string[]): Promise<{ objects: number; oldest_seen_at: number | null; bad: number }> {
      const [row] = rowsOf<{ objects: number | string; oldest: number | string | null; bad: number | string | null }>(
        await db.raw(
          `select count(*) as objects, min(c.seen_at) as oldest, sum(case when c.result <> 'good' then 1 else 0 end) as bad
           from ? r cross join objects o cross join object_checks c where o.id = r.id and c.object_no = o.no`,
          [idRows(db, ids)],
        ),
      );
      const oldest = row?.oldest ?? null;
      return {
        objects: Number(row?.objects ?? 0),
        oldest_seen_at: oldest === null ? null : Number(oldest),
        bad: Number(row?.bad ?? 0),
      };
    },

    /** The blobs that an object holds, in the order of their places. */
    async places(no: number): Promise<CheckedPlace[]> {
      const rows: Array<{ digest: Buffer; offset: number; size: number; quarantined_at: number | null }> = rowsOf(
        await db.raw(
          `select b.digest as digest, b."offset" as "offset", b.size as size, b.quarantined_at as quarantined_at
           from blobs b where b.object_no = ?
           union all select b.digest, l."offset", b.size, l.quarantined_at
           from blob_locations l join blobs b on b.no = l.blob_no where l.object_no = ?
           order by "offset"`,
          [no, no],
        ),
      );
      return rows.map(({ digest, quarantined_at, ...place }) => ({
        ...place,
        digest: digestFromBytes(digest),
        quarantined: quarantined_at !== null,
      }));
    },

    /** @param seen what is wrong, in words */
    async record(no: number, result: Exclude<CheckResult, 'good'>, seen: string, now: number): Promise<void> {
      const found_at = db.raw('coalesce(found_at, ?)', [now]);
      await db('object_checks').where({ object_no: no }).update({ turn_at: now, seen_at: now, result, seen, found_at });
    },

    /**
     * Whoever began to read later knows better. @param begun when the reading began, ms
     * @returns false: another reading was recorded since
     */
    async recordGood(no: number, begun: number, now: number): Promise<boolean> {
      const verdict = { result: 'good', seen: null, good_at: now, found_at: null };
      const rows = db('object_checks').where({ object_no: no }).where('seen_at', '<=', begun);
      return (await rows.update({ turn_at: now, seen_at: now, ...verdict })) > 0;
    },

    /** A read found its bytes wrong: its turn is now. */
    async suspect(object: { id: string } | { key: string }): Promise<void> {
      await db('object_checks')
        .whereIn('object_no', db('objects').where(object).select('no'))
        .update({ turn_at: AT_ONCE });
    },

    /** Objects that nobody has read since `before`, ms. @param until by then their turn was, if nobody has taken them */
    async overdue(before: number, until: number): Promise<Overdue> {
      const [row] = rowsOf<{ objects: number | string; bytes: number | string }>(
        await db.raw(
          `select count(*) as objects, coalesce(sum(o.stored_size), 0) as bytes
           from object_checks c join objects o on o.no = c.object_no
           where c.turn_at <= ? and c.seen_at <= ? and o.state in ('live', 'condemned')`,
          [until, before],
        ),
      );
      return { objects: Number(row?.objects), bytes: Number(row?.bytes) };
    },

    /** When that of the objects was read which was read the longest time ago, ms, nearly; null: there is none. */
    async oldestSeen(): Promise<number | null> {
      const row = await db('object_checks as c')
        .join('objects as o', 'o.no', 'c.object_no')
        .whereRaw(`o.state in ('live', 'condemned')`)
        .orderBy('c.turn_at')
        .first('c.seen_at as seen_at');
      return row === undefined ? null : Number(row.seen_at);
    },

    /** The same, to the millisecond: it looks at every object. */
    async oldestSeenExactly(): Promise<number | null> {
      const [row] = rowsOf<{ oldest: number | string | null }>(
        await db.raw(
          `select min(c.seen_at) as oldest from object_checks c join objects o on o.no = c.object_no
           where o.state in ('live', 'condemned')`,
        ),
      );
      return row?.oldest == null ? null : Number(row.oldest);
    },
  };
}

export type ObjectCheckTable = ReturnType<typeof objectCheckTable>;

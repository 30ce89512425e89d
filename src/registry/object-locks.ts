import type { Knex } from 'knex';
import { rowsOf } from './dialect.ts';
import { IS_LOCKED, IS_STANDING, isWantedHeld, wantedUntil } from './lock-conditions.ts';
import { type LockingPackage, locksBehind } from './locks-behind.ts';
import { HOLDS_FILES, type ObjectKind } from './object-record.ts';
import { type Cell, idRows, recordset } from './recordset.ts';

/** What has a lock in storage: an object, or the object of a decision. */
export type LockTable = 'objects' | 'retention_events';
const NUMBER = { objects: 'no', retention_events: 'seq' } as const satisfies Record<LockTable, string>;

/** What storage was told. */
export interface ToldLock {
  no: number;
  version_id: string | null;
  until: number | null;
  held: boolean;
}

/** A lock as the registry has it, beside what storage says of it. */
export interface SampledLock {
  no: number;
  id: string;
  kind: ObjectKind;
  key: string;
  version_id: string | null;
  locked_until: number | null;
  legal_hold: boolean;
}

/** Whoever lifts a hold has ended, or died, after this; ms. The request that does it waits less long. */
const LIFTING_MS = 600_000;
const LONG_OVER = 0;

/** What storage was told of locks, and what it is to be told. */
export function objectLockTable(db: Knex) {
  function told(rows: readonly ToldLock[]): Knex.Raw {
    return recordset(
      db,
      { no: 'integer', version_id: 'text', until: 'integer', held: 'boolean' },
      rows.map(({ no, version_id, until, held }): Cell[] => [no, version_id, until, held]),
    );
  }
  const numbers = (nos: readonly number[]): Knex.Raw =>
    recordset(
      db,
      { no: 'integer' },
      nos.map((no) => [no]),
    );

  return {
    ...locksBehind(db),

    /** Whoever goes through marked objects next looks at these. Manifests are looked at with their packages. */
    async mark(ids: readonly string[]): Promise<void> {
      await db.raw(`update objects set lock_wanted = true where ${HOLDS_FILES} and id in (select r.id from ? r)`, [
        idRows(db, ids),
      ]);
    },

    /** Nothing is to be done about these any more, but where something is again. */
    async unmark(nos: readonly number[], now: number): Promise<void> {
      const wanted = isWantedHeld('objects');
      await db.raw(
        `update objects set lock_wanted = false where no in (select r.no from ? r)
           and coalesce(locked_until, 0) >= coalesce(${wantedUntil('objects')}, 0)
           and hold_lifting_at is null and legal_hold = ${wanted}`,
        [numbers(nos), now],
      );
    },

    /** What these packages want has changed, or is to be told again. */
    async want(ids: readonly string[]): Promise<void> {
      await db.raw('update packages set locks_wanted = locks_wanted + 1 where id in (select r.id from ? r)', [
        idRows(db, ids),
      ]);
    },

    /** After storage was told of what this package wanted; it may want something else by now. */
    async wantAgain({ id, locks_wanted }: LockingPackage): Promise<void> {
      await db('packages').where({ id }).whereNot({ locks_wanted }).increment('locks_wanted');
    },

    /** @returns false: the package has come to want something else meanwhile */
    async setTold({ id, locks_wanted }: LockingPackage): Promise<boolean> {
      await db('packages').where({ id }).where('locks_told', '<', locks_wanted).update({ locks_told: locks_wanted });
      return !(await db('packages').where({ id }).whereRaw('locks_told < locks_wanted').first('id'));
    },

    /**
     * Before storage is told to hold these: whoever tells it may die before it is recorded, and then nobody knows. Until `record` they count
     * as held, and as being lifted by somebody who is long over it: who wants them held tells storage again, and who does not lifts them.
     */
    async doubt(table: LockTable, nos: readonly number[]): Promise<void> {
      await db.raw(
        `update ${table} set legal_hold = true, hold_lifting_at = ${LONG_OVER}
         where legal_hold = false and ${NUMBER[table]} in (select r.no from ? r)`,
        [numbers(nos)],
      );
    },

    /**
     * Storage was told to lock these, longer or not at all. As long as somebody may be lifting a hold, nobody can say that it is on: then
     * the hold stays behind. @returns whether any does
     */
    async record(table: LockTable, rows: readonly ToldLock[], now: number): Promise<boolean> {
      const no = NUMBER[table];
      const isOver = `(${table}.hold_lifting_at is null or ${table}.hold_lifting_at < cast(? as bigint))`;
      const changed: Array<{ hold_lifting_at: number | null }> = rowsOf(
        await db.raw(
          `update ${table} set
             version_id = coalesce(${table}.version_id, r.version_id),
             locked_until = case when r.until is null or r.until < ${table}.locked_until then ${table}.locked_until else r.until end,
             legal_hold = case when r.held then true else ${table}.legal_hold end,
             hold_lifting_at = case when r.held and ${isOver} then null else ${table}.hold_lifting_at end
           from ? r where ${table}.${no} = r.no returning ${table}.hold_lifting_at as hold_lifting_at`,
          [now - LIFTING_MS, told(rows)],
        ),
      );
      return changed.some(({ hold_lifting_at }) => hold_lifting_at !== null);
    },

    /**
     * From now on storage may be told to hold these no more: of those that nobody wants to be held, and that nobody else is lifting.
     * @returns their numbers
     */
    async beginLifting(table: LockTable, nos: readonly number[], now: number): Promise<number[]> {
      const [no, wanted] = [NUMBER[table], table === 'objects' ? `and not ${isWantedHeld('o')}` : ''];
      // Should nobody come to end it: whoever is to hold these by then is not asked again.
      const mark = table === 'objects' ? `, lock_wanted = (${HOLDS_FILES})` : '';
      const rows: Array<{ no: number }> = rowsOf(
        await db.raw(
          `update ${table} set hold_lifting_at = ?${mark} where ${no} in (
             select o.${no} from ${table} o where o.${no} in (select r.no from ? r) and o.legal_hold = true
               and (o.hold_lifting_at is null or o.hold_lifting_at < cast(? as bigint)) ${wanted})
           returning ${no} as no`,
          [now, numbers(nos), now - LIFTING_MS],
        ),
      );
      return rows.map((row) => Number(row.no));
    },

    /** Storage holds these no more. Who wanted them to be held meanwhile is told by a mark, or by its own number. @param since of beginLifting */
    async endLifting(table: LockTable, nos: readonly number[], since: number): Promise<void> {
      const no = NUMBER[table];
      const mark =
        table === 'objects'
          ? `, lock_wanted = case when ${HOLDS_FILES} and ${isWantedHeld('objects')} then true else lock_wanted end`
          : '';
      await db.raw(
        `update ${table} set legal_hold = false, hold_lifting_at = null${mark}
         where hold_lifting_at = ? and ${no} in (select r.no from ? r)`,
        [since, numbers(nos)],
      );
    },

    /** Storage refused to remove these: they are locked until then. */
    async setRefused(rows: ReadonlyArray<{ id: string; until: number }>): Promise<void> {
      const refused = recordset(
        db,
        { id: 'text', until: 'integer' },
        rows.map(({ id, until }) => [id, until]),
      );
      await db.raw(
        `update objects set locked_until = r.until from ? r
         where objects.id = r.id and coalesce(objects.locked_until, 0) < r.until`,
        [refused],
      );
    },

    /** Storage locks these less than it was told: it is told again. */
    async forget(rows: ReadonlyArray<{ no: number; until: number | null; held: boolean }>): Promise<void> {
      const seen = recordset(
        db,
        { no: 'integer', until: 'integer', held: 'boolean' },
        rows.map(({ no, until, held }) => [no, until, held]),
      );
      await db.raw(
        `update objects set locked_until = r.until, legal_hold = r.held,
           lock_wanted = case when ${HOLDS_FILES} then true else lock_wanted end
         from ? r where objects.no = r.no`,
        [seen],
      );
    },

    /** Some of the objects that storage was told to lock, and that are still locked; from a number on. */
    async sample(from: number, limit: number, now: number): Promise<SampledLock[]> {
      const rows: Array<Omit<SampledLock, 'legal_hold'> & { legal_hold: boolean | number }> = rowsOf(
        await db.raw(
          `select o.no as no, o.id as id, o.kind as kind, o.key as key, o.version_id as version_id,
             o.locked_until as locked_until, o.legal_hold as legal_hold
           from objects o where o.no >= ? and ${IS_STANDING} and o.hold_lifting_at is null and ${IS_LOCKED}
           order by o.no limit ?`,
          [from, now, limit],
        ),
      );
      return rows.map((row) => ({ ...row, no: Number(row.no), legal_hold: Boolean(row.legal_hold) }));
    },

    async lastNumber(): Promise<number> {
      const row = await db('objects').orderBy('no', 'desc').first('no');
      return Number(row?.no ?? 0);
    },

    /** What nothing needs and storage keeps all the same, and its bytes there. */
    async countKept(state: 'condemned' | 'removing', now: number): Promise<{ objects: number; bytes: number }> {
      const [row] = rowsOf<{ objects: number; bytes: number }>(
        await db.raw(
          `select count(*) as objects, coalesce(sum(o.stored_size), 0) as bytes from objects o
           where o.state <> 'live' and o.state = ? and ${IS_LOCKED}`,
          [state, now],
        ),
      );
      return { objects: Number(row?.objects), bytes: Number(row?.bytes) };
    },
  };
}

export type ObjectLockTable = ReturnType<typeof objectLockTable>;

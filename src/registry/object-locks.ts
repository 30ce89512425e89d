import type { Knex } from 'knex';
import type { PackageId } from '../core/ids.ts';
import type { WantedLock } from '../core/object-lock.ts';
import type { PackageStatus } from '../core/package-state.ts';
import { isThere } from './deleted-files.ts';
import { rowsOf } from './dialect.ts';
import { type Cell, idRows, recordset } from './recordset.ts';

/** What has a lock in storage: an object, or the object of a decision. */
export type LockTable = 'objects' | 'retention_events';
const NUMBER = { objects: 'no', retention_events: 'seq' } as const satisfies Record<LockTable, string>;

/** Something whose lock in storage is not what packages want. */
export interface LockBehind {
  /** Its key inside the registry. */
  no: number;
  id: string;
  /** Of an object; of a decision the key follows from its id. */
  key: string | null;
  version_id: string | null;
  /** Until when it is to be locked, ms; null: as long as it is, or not at all. */
  until: number | null;
  /** It is to be held; null: as it is. */
  hold: boolean | null;
}

/** What storage was told. */
export interface ToldLock {
  no: number;
  version_id: string | null;
  until: number | null;
  held: boolean;
}

/** A package that storage has not been told of. */
export interface LockingPackage {
  id: PackageId;
  status: PackageStatus;
  expires_at: number | null;
  active_holds: number;
  locks_wanted: number;
}

/** A lock as the registry has it, beside what storage says of it. */
export interface SampledLock {
  no: number;
  id: string;
  kind: 'blob' | 'pack' | 'manifest';
  key: string;
  version_id: string | null;
  locked_until: number | null;
  legal_hold: boolean;
}

/** Whoever lifts a hold has ended, or died, after this; ms. The request that does it waits less long. */
const LIFTING_MS = 600_000;

/** A condition: storage keeps the object `o`, whoever asks. Its parameter is the time, ms. */
export const IS_LOCKED = '(o.legal_hold = true or coalesce(o.locked_until, 0) > cast(? as bigint))';

/** Packages that are finalized and need a blob of an object, as `p`. @param object the alias of its row */
function needing(object: string): string {
  return `(select b.no as no from blobs b where b.object_no = ${object}.no
      union all select l.blob_no from blob_locations l where l.object_no = ${object}.no) h
    join package_files f on f.blob_no = h.no join packages p on p.no = f.package_no
    where p.status = 'finalized' and ${isThere('f', 'p')}`;
}

/** A condition: one of them wants it to be held. */
function isWantedHeld(object: string): string {
  return `exists (select 1 from ${needing(object)} and (p.active_holds > 0 or p.expires_at is null))`;
}

/** The latest expiry of one of them, if it is to come; else null. Its parameter is the time, ms. */
function wantedUntil(object: string): string {
  return `(select max(p.expires_at) from ${needing(object)} and p.expires_at > cast(? as bigint))`;
}

/** A condition on the object `o`. What is condemned and needed has another place: it is locked no longer than it is. */
const IS_STANDING = `o.state = 'live'`;
/** Another: its hold may be lifted. */
const MAY_BE_HELD = `o.state in ('live', 'condemned', 'removing')`;

interface Row {
  no: number;
  id: string;
  key: string | null;
  version_id: string | null;
  locked_until: number | null;
  legal_hold: boolean | number;
  lifting: boolean | number;
  wanted_until: number | null;
  wanted_held: boolean | number;
}

function behindFromRow(row: Row): LockBehind {
  const { no, id, key, version_id } = row;
  const [until, told] = [row.wanted_until === null ? null : Number(row.wanted_until), Number(row.locked_until ?? 0)];
  const [wanted, is, lifting] = [Boolean(row.wanted_held), Boolean(row.legal_hold), Boolean(row.lifting)];
  const raised = until !== null && until > told ? until : null;
  const hold = wanted ? (!is || lifting ? true : null) : is ? false : null;
  return { no: Number(no), id, key, version_id, until: raised, hold };
}

/** What storage was told of locks, and what it is to be told. */
export function objectLockTable(db: Knex) {
  const lockColumns = (at: string): string =>
    `${at}.version_id as version_id, ${at}.locked_until as locked_until, ${at}.legal_hold as legal_hold,
     case when ${at}.hold_lifting_at is null then false else true end as lifting`;
  /** A condition; its parameters are those of `wantedBy`. */
  const isBehind = (at: string, wantedHeld: string): string =>
    `(coalesce(${at}.locked_until, 0) < cast(? as bigint)
      or (cast(? as integer) = 1 and (${at}.legal_hold = false or ${at}.hold_lifting_at is not null))
      or (cast(? as integer) = 0 and ${at}.legal_hold = true and not ${wantedHeld}))`;
  const wantedBy = ({ until, held }: WantedLock): number[] => [until ?? 0, Number(held), Number(held)];

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
    /** The next packages that storage has not been told of, by their ids. */
    async listPackages(after: string, limit: number): Promise<PackageId[]> {
      const rows: Array<{ id: PackageId }> = await db('packages')
        .whereRaw('locks_told < locks_wanted')
        .where('id', '>', after)
        .orderBy('id')
        .limit(limit)
        .select('id');
      return rows.map(({ id }) => id);
    },

    /** @returns null: storage has been told of all that it wants */
    async getPackage(id: PackageId): Promise<LockingPackage | null> {
      const row: LockingPackage | undefined = await db('packages')
        .where({ id })
        .whereRaw('locks_told < locks_wanted')
        .first('id', 'status', 'expires_at', 'active_holds', 'locks_wanted');
      return row ?? null;
    },

    /**
     * The next objects of a package that are locked less than it wants: all that hold a blob of one of its files, and its manifest. Held
     * ones too that nobody wants to be held any more. @param manifestKey of its manifest
     */
    async listOfPackage(
      id: PackageId,
      manifestKey: string,
      wanted: WantedLock,
      after: number,
      limit: number,
    ): Promise<LockBehind[]> {
      const files = `packages p join package_files f on f.package_no = p.no`;
      const rows: Row[] = rowsOf(
        await db.raw(
          `with needed as materialized (
             select b.object_no as no from ${files} join blobs b on b.no = f.blob_no
               where p.id = ? and b.object_no is not null and ${isThere('f', 'p')}
             union select l.object_no from ${files} join blob_locations l on l.blob_no = f.blob_no
               where p.id = ? and ${isThere('f', 'p')}
             union select m.no from objects m where m.key = ?)
           select o.no as no, o.id as id, o.key as key, ${lockColumns('o')},
             cast(? as bigint) as wanted_until, case when cast(? as integer) = 1 then true else false end as wanted_held
           from needed n join objects o on o.no = n.no
           where o.no > ? and (${IS_STANDING} or (cast(? as integer) = 0 and o.legal_hold = true and ${MAY_BE_HELD}))
             and ${isBehind('o', isWantedHeld('o'))} order by o.no limit ?`,
          [
            id,
            id,
            manifestKey,
            wanted.until,
            Number(wanted.held),
            after,
            Number(wanted.held),
            ...wantedBy(wanted),
            limit,
          ],
        ),
      );
      return rows.map(behindFromRow);
    },

    /** The next decisions on a package that are locked less than it wants. */
    async listDecisions(id: PackageId, wanted: WantedLock, after: number, limit: number): Promise<LockBehind[]> {
      const rows: Row[] = rowsOf(
        await db.raw(
          `select e.seq as no, e.id as id, null as key, ${lockColumns('e')},
             cast(? as bigint) as wanted_until, case when cast(? as integer) = 1 then true else false end as wanted_held
           from retention_events e where e.package_id = ? and e.action <> 'set' and e.to_write = false
             and e.seq > ? and ${isBehind('e', '(false)')} order by e.seq limit ?`,
          [wanted.until, Number(wanted.held), id, after, ...wantedBy(wanted), limit],
        ),
      );
      return rows.map(behindFromRow);
    },

    /** The next objects of blobs that were marked, whatever is to be done about them. */
    async listMarked(after: number, limit: number, now: number): Promise<LockBehind[]> {
      const rows: Row[] = rowsOf(
        await db.raw(
          `select o.no as no, o.id as id, o.key as key, ${lockColumns('o')},
             ${wantedUntil('o')} as wanted_until, case when ${isWantedHeld('o')} then true else false end as wanted_held
           from objects o where o.lock_wanted = true and ${IS_STANDING} and o.no > ? order by o.no limit ?`,
          [now, after, limit],
        ),
      );
      return rows.map(behindFromRow);
    },

    /** Whoever goes through marked objects next looks at these. Manifests are looked at with their packages. */
    async mark(ids: readonly string[]): Promise<void> {
      await db.raw(`update objects set lock_wanted = true where kind <> 'manifest' and id in (select r.id from ? r)`, [
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

    /** @returns false: the package has come to want something else meanwhile */
    async setTold({ id, locks_wanted }: LockingPackage): Promise<boolean> {
      await db('packages').where({ id }).where('locks_told', '<', locks_wanted).update({ locks_told: locks_wanted });
      return !(await db('packages').where({ id }).whereRaw('locks_told < locks_wanted').first('id'));
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
      const rows: Array<{ no: number }> = rowsOf(
        await db.raw(
          `update ${table} set hold_lifting_at = ? where ${no} in (
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
          ? `, lock_wanted = case when kind <> 'manifest' and ${isWantedHeld('objects')} then true else lock_wanted end`
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
           lock_wanted = case when kind = 'manifest' then lock_wanted else true end
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

    /** Packages and objects whose locks storage has not been told of. At most so many of each are counted. */
    async countBehind(atMost: number): Promise<number> {
      const packages: unknown[] = await db('packages').whereRaw('locks_told < locks_wanted').limit(atMost).select('id');
      const objects: unknown[] = await db('objects as o')
        .whereRaw(`o.lock_wanted = true and ${IS_STANDING}`)
        .limit(atMost)
        .select('o.no');
      return packages.length + objects.length;
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

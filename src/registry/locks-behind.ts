import type { Knex } from 'knex';
import type { PackageId } from '../core/ids.ts';
import type { WantedLock } from '../core/object-lock.ts';
import type { PackageStatus } from '../core/package-state.ts';
import { isThere } from './deleted-files.ts';
import { rowsOf } from './dialect.ts';
import { IS_STANDING, isWantedHeld, MAY_BE_HELD, wantedUntil } from './lock-conditions.ts';

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

/** A package that storage has not been told of. */
export interface LockingPackage {
  id: PackageId;
  status: PackageStatus;
  expires_at: number | null;
  active_holds: number;
  locks_wanted: number;
}

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

/** What storage is to be told of locks. */
export function locksBehind(db: Knex) {
  const lockColumns = (at: string): string =>
    `${at}.version_id as version_id, ${at}.locked_until as locked_until, ${at}.legal_hold as legal_hold,
     case when ${at}.hold_lifting_at is null then false else true end as lifting`;
  /** A condition; its parameters are those of `wantedBy`. */
  const isBehind = (at: string, wantedHeld: string): string =>
    `(coalesce(${at}.locked_until, 0) < cast(? as bigint)
      or (cast(? as integer) = 1 and (${at}.legal_hold = false or ${at}.hold_lifting_at is not null))
      or (cast(? as integer) = 0 and ${at}.legal_hold = true and not ${wantedHeld}))`;
  const wantedBy = ({ until, held }: WantedLock): number[] => [until ?? 0, Number(held), Number(held)];

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
     * The next objects of a package that are locked less than it wants: all that hold a blob of one of its files, and its own. Held
     * ones too that nobody wants to be held any more. @param own the keys of its manifest and attestation
     */
    async listOfPackage(
      id: PackageId,
      own: readonly [string, string],
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
             union select m.no from objects m where m.key in (?, ?))
           select o.no as no, o.id as id, o.key as key, ${lockColumns('o')},
             cast(? as bigint) as wanted_until, case when cast(? as integer) = 1 then true else false end as wanted_held
           from needed n join objects o on o.no = n.no
           where o.no > ? and (${IS_STANDING} or (cast(? as integer) = 0 and o.legal_hold = true and ${MAY_BE_HELD}))
             and ${isBehind('o', isWantedHeld('o'))} order by o.no limit ?`,
          [id, id, ...own, wanted.until, Number(wanted.held), after, Number(wanted.held), ...wantedBy(wanted), limit],
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

    /** Packages and objects whose locks storage has not been told of. At most so many of each are counted. */
    async countBehind(atMost: number): Promise<number> {
      const packages: unknown[] = await db('packages').whereRaw('locks_told < locks_wanted').limit(atMost).select('id');
      const objects: unknown[] = await db('objects as o')
        .whereRaw(`o.lock_wanted = true and ${IS_STANDING}`)
        .limit(atMost)
        .select('o.no');
      return packages.length + objects.length;
    },
  };
}

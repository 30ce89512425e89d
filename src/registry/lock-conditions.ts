import { isThere } from './deleted-files.ts';

/* Conditions of locks, as SQL. */

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
export function isWantedHeld(object: string): string {
  return `exists (select 1 from ${needing(object)} and (p.active_holds > 0 or p.expires_at is null))`;
}

/** The latest expiry of one of them, if it is to come; else null. Its parameter is the time, ms. */
export function wantedUntil(object: string): string {
  return `(select max(p.expires_at) from ${needing(object)} and p.expires_at > cast(? as bigint))`;
}

/** A condition on the object `o`. What is condemned and needed has another place: it is locked no longer than it is. */
export const IS_STANDING = `o.state = 'live'`;
/** Another: its hold may be lifted. */
export const MAY_BE_HELD = `o.state in ('live', 'condemned', 'removing')`;

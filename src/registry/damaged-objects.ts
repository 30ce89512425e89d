import type { Knex } from 'knex';
import { type Digest, digestFromBytes } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import type { ObjectState } from '../core/object-state.ts';
import { isThere } from './deleted-files.ts';
import { rowsOf } from './dialect.ts';
import type { CheckResult } from './object-checks.ts';
import type { ObjectKind } from './object-record.ts';
import { HOLDING } from './object-states.ts';
import { LIVING } from './unneeded-objects.ts';

/** An object whose bytes are wrong, or gone. */
export interface DamagedObject {
  no: number;
  id: string;
  kind: ObjectKind;
  key: string;
  digest: Digest;
  size: number;
  state: ObjectState;
  result: CheckResult;
  good_at: number;
  found_at: number;
  /** What is wrong, half a sentence. */
  seen: string | null;
}

/** A living package's file of which an object has no good bytes. */
export interface DamagedFile {
  package_id: PackageId;
  path: string;
  digest: Digest;
  size: number;
  /** The bytes there are right all the same: what stands around them is not. */
  is_right: boolean;
  /** Other objects that have good bytes of it. */
  copies: number;
}

const COLUMNS = `o.no as no, o.id as id, o.kind as kind, o.key as key, o.digest as digest, o.size as size, o.state as state,
  c.result as result, c.good_at as good_at, coalesce(c.found_at, o.state_since, c.seen_at) as found_at, c.seen as seen`;

/** Blobs of an object: which, and since when their bytes there are known to be wrong. */
const HELD = `(select b.no as blob_no, b.quarantined_at as quarantined_at from blobs b where b.object_no = ?
    union all select l.blob_no, l.quarantined_at from blob_locations l where l.object_no = ?)`;
/** How many other objects have good bytes of the blob `b`. */
const OTHERS = `(case when b.object_no <> ? and b.quarantined_at is null
      and (select x.state from objects x where x.no = b.object_no) in (${HOLDING}) then 1 else 0 end)
    + (select count(*) from blob_locations m join objects x on x.no = m.object_no
       where m.blob_no = b.no and m.object_no <> ? and m.quarantined_at is null and x.state in (${HOLDING}))`;

/** A condition on an object: its bytes count, or are to be sent again. Of what a sweep has removed nothing is damaged. */
const COUNTS = `o.state in (${HOLDING}, 'lost')`;

/** A condition on such a blob: it must come from elsewhere. Of an object that is lost, each. */
function isConcerned(state: ObjectState): string {
  return state === 'lost' ? 'true' : 'h.quarantined_at is not null';
}

/** What fixity checks have found, and whose it is. */
export function damagedObjects(db: Knex) {
  return {
    /** The next ones by number: what a check found, and what is lost. */
    async list(after: number, limit: number): Promise<DamagedObject[]> {
      const rows: Array<Omit<DamagedObject, 'digest'> & { digest: Buffer }> = rowsOf(
        await db.raw(
          `select * from (select ${COLUMNS} from object_checks c join objects o on o.no = c.object_no
             where c.result <> 'good' and c.object_no > ? and ${COUNTS} order by c.object_no limit ?) bad
           union select * from (select ${COLUMNS} from objects o join object_checks c on c.object_no = o.no
             where o.state <> 'live' and o.state = 'lost' and o.no > ? order by o.no limit ?) lost
           order by no limit ?`,
          [after, limit, after, limit, limit],
        ),
      );
      return rows.map((row) => ({ ...row, digest: digestFromBytes(row.digest) }));
    },

    /** Files of living packages that such an object has no good bytes of. @param packageId whose; null: of all */
    async files(
      object: Pick<DamagedObject, 'no' | 'state'>,
      packageId: PackageId | null,
      limit: number,
    ): Promise<DamagedFile[]> {
      const { no, state } = object;
      const rows: Array<Omit<DamagedFile, 'digest' | 'is_right'> & { digest: Buffer; is_right: boolean | number }> =
        rowsOf(
          await db.raw(
            `select p.id as package_id, f.path as path, b.digest as digest, f.size as size,
             case when h.quarantined_at is null then true else false end as is_right, ${OTHERS} as copies
           from ${HELD} h join blobs b on b.no = h.blob_no join package_files f on f.blob_no = b.no
           join packages p on p.no = f.package_no
           where ${isConcerned(state)} and p.status in (${LIVING}) and ${isThere('f', 'p')}
             ${packageId === null ? '' : 'and p.id = ?'}
           order by f.package_no, f.path limit ?`,
            [no, no, no, no, ...(packageId === null ? [] : [packageId]), limit],
          ),
        );
      return rows.map((row) => ({
        ...row,
        digest: digestFromBytes(row.digest),
        is_right: Boolean(row.is_right),
        copies: Number(row.copies),
      }));
    },

    /** Living packages with such files, each once. */
    async packagesOf(object: Pick<DamagedObject, 'no' | 'state'>, limit: number): Promise<PackageId[]> {
      const { no, state } = object;
      const rows: Array<{ id: PackageId }> = rowsOf(
        await db.raw(
          `select distinct p.id as id from ${HELD} h join package_files f on f.blob_no = h.blob_no
           join packages p on p.no = f.package_no
           where ${isConcerned(state)} and p.status in (${LIVING}) and ${isThere('f', 'p')} order by p.id limit ?`,
          [no, no, limit],
        ),
      );
      return rows.map(({ id }) => id);
    },

    /** Whether a manifest or an attestation is: they have no copies. */
    async anyProof(): Promise<boolean> {
      const rows = rowsOf(
        await db.raw(
          `select c.object_no from object_checks c join objects o on o.no = c.object_no
           where c.result <> 'good' and ${COUNTS} and o.kind in ('manifest', 'attestation') limit 1`,
        ),
      );
      return rows.length > 0;
    },

    /** How many objects are known to be damaged; at most so many are counted. */
    async count(atMost: number): Promise<number> {
      const rows = rowsOf(
        await db.raw(
          `select c.object_no from object_checks c join objects o on o.no = c.object_no
           where c.result <> 'good' and ${COUNTS} limit ?`,
          [atMost],
        ),
      );
      return rows.length;
    },
  };
}

export type DamagedObjects = ReturnType<typeof damagedObjects>;

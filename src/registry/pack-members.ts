import type { Knex } from 'knex';
import { type Digest, digestFromBytes } from '../core/digest.ts';
import type { Encoding } from '../core/frame-table.ts';
import type { PackMember } from '../core/pack.ts';
import { isThere } from './deleted-files.ts';
import { rowsOf } from './dialect.ts';
import { IS_LOCKED } from './lock-conditions.ts';
import { IS_LATER, IS_QUARANTINED, isNeeded, LIVING } from './unneeded-objects.ts';

/** A pack, and how much of it is needed. */
export interface SparsePack {
  no: number;
  id: string;
  key: string;
  version_id: string | null;
  digest: Digest;
  /** Of its content. */
  size: number;
  /** In storage. */
  stored_size: number;
  encoding: Encoding;
  /** What members that are needed and stand in no later object take in it, with their headers. */
  live_size: number;
  live_members: number;
}

type Row = Omit<SparsePack, 'digest'> & { digest: Buffer };

/** Members of the pack `o` that are needed and stand in no later object, as `m`: what stands in several is live in one of them. */
const LIVE_MEMBERS = `(
  select b.digest as digest, b.size as size, b."offset" as place from blobs b
    where b.object_no = o.no and ${isNeeded('b.no')} and not ${IS_LATER}
  union all
  select b.digest, b.size, l."offset" from blob_locations l join blobs b on b.no = l.blob_no
    where l.object_no = o.no and ${isNeeded('b.no')} and not ${IS_LATER}) m`;

/** As `sizeInPack` says it: files of some bytes are mostly header, which is not dead. */
const SIZE_IN_PACK = '512 + ((m.size + 511) / 512) * 512';

/** Packs, by what of them is needed: for those that are written anew. */
export function packMembers(db: Knex) {
  return {
    /** The next live packs none of whose bytes are known to be wrong, and that are not locked: those stay in any case. @returns also where the next page begins; null: there is none */
    async listPacks(after: number, limit: number, now: number): Promise<{ packs: SparsePack[]; next: number | null }> {
      const rows: Row[] = rowsOf(
        await db.raw(
          `with page as materialized (
             select * from objects where no > ? and state = 'live' and kind = 'pack' order by no limit ?)
           select o.no as no, o.id as id, o.key as key, o.version_id as version_id, o.digest as digest, o.size as size,
             o.stored_size as stored_size, o.encoding as encoding,
             (select coalesce(sum(${SIZE_IN_PACK}), 0) from ${LIVE_MEMBERS}) as live_size,
             (select count(*) from ${LIVE_MEMBERS}) as live_members,
             case when ${IS_QUARANTINED} or ${IS_LOCKED} then 1 else 0 end as stays
           from page o order by o.no`,
          [after, limit, now],
        ),
      );
      const packs = rows
        .filter((row) => Number((row as Row & { stays: number }).stays) === 0)
        .map(({ digest, live_size, live_members, ...row }) => ({
          ...row,
          digest: digestFromBytes(digest),
          live_size: Number(live_size),
          live_members: Number(live_members),
        }));
      return { packs, next: rows.length < limit ? null : Number(rows.at(-1)?.no) };
    },

    /** Those members of a pack, in the order in which they stand. */
    async liveMembers(id: string): Promise<PackMember[]> {
      const rows: Array<{ digest: Buffer; size: number; place: number }> = rowsOf(
        await db.raw(
          `select b.digest as digest, b.size as size, b."offset" as place from objects o join blobs b on b.object_no = o.no
             where o.id = ? and ${isNeeded('b.no')} and not ${IS_LATER}
           union all
           select b.digest, b.size, l."offset" from objects o join blob_locations l on l.object_no = o.no
             join blobs b on b.no = l.blob_no
             where o.id = ? and ${isNeeded('b.no')} and not ${IS_LATER}
           order by place`,
          [id, id],
        ),
      );
      return rows.map(({ digest, size, place }) => ({ digest: digestFromBytes(digest), size, offset: place }));
    },

    /** Producers of the living packages that need a pack's bytes; more than two are not told. */
    async producersOf(id: string): Promise<string[]> {
      const rows: Array<{ producer: string }> = rowsOf(
        await db.raw(
          `select distinct p.producer as producer from (
             select b.no as no from objects o join blobs b on b.object_no = o.no where o.id = ?
             union all
             select l.blob_no from objects o join blob_locations l on l.object_no = o.no where o.id = ?) h
           join package_files f on f.blob_no = h.no join packages p on p.no = f.package_no
           where p.status in (${LIVING}) and ${isThere('f', 'p')} limit 2`,
          [id, id],
        ),
      );
      return rows.map(({ producer }) => producer);
    },
  };
}

import type { Knex } from 'knex';
import { type Digest, digestFromBytes, digestHex, digestToBytes } from '../core/digest.ts';
import type { Encoding } from '../core/frame-table.ts';
import type { PackageId } from '../core/ids.ts';
import type { ObjectState } from '../core/object-state.ts';
import { isThere } from './deleted-files.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { provenFor, type Wanted, wantedRows } from './file-proofs.ts';
import { located } from './locations.ts';
import { addBlobs, blobOfEach } from './numbers.ts';
import { OBJECT_NO, objectRows } from './object-rows.ts';
import { isHolding, isLost, objectStates, revive } from './object-states.ts';
import { packMembers } from './pack-members.ts';
import type { Reads } from './reads.ts';
import { byDigest, digestRows, idRows, recordset } from './recordset.ts';
import { isNeeded, LIVING, unneededObjects } from './unneeded-objects.ts';

/** Where a blob's bytes are. */
export interface StoredAt {
  object_id: string;
  key: string;
  version_id: string | null;
  offset: number;
  /** Of the whole object's content. */
  object_size: number;
  encoding: Encoding;
  /** Lost only when no live object holds the blob. */
  state: ObjectState;
}

/** Blobs, the objects that hold bytes, and which bytes are where. */
export function blobTable(db: Knex) {
  /**
   * Of PostgreSQL: others who retain, or who add a location, are not in the way of this lock; who condemns waits, or was before. Then
   * its statement saw what it had found, which another one asks for. @param rows a recordset with a `digest`
   */
  async function lockHeld(rows: Knex.Raw): Promise<Digest[]> {
    const held: Array<{ no: number; digest: Buffer }> = rowsOf(
      await db.raw(
        `select b.no, b.digest from blobs b where b.digest in (select r.digest from ? r) and b.object_no is not null
         order by b.digest for key share`,
        [rows],
      ),
    );
    const lost = (await db('lost_blobs').first('blob_no')) ? await lostAmong(rows) : new Set();
    return held.flatMap(({ no, digest }) => (lost.has(no) ? [] : [digestFromBytes(digest)]));
  }

  async function lostAmong(rows: Knex.Raw): Promise<Set<number>> {
    const sql = `select b.no as no from ? where ${isLost('b.no')}`;
    return new Set(rowsOf<{ no: number }>(await db.raw(sql, [blobOfEach(db, rows)])).map(({ no }) => no));
  }

  return {
    ...objectStates(db),
    ...unneededObjects(db),
    ...objectRows(db),
    ...packMembers(db),

    /**
     * Takes the locks of these blobs' rows until the transaction ends (making the rows when they are new), so that of two
     * uploads of one digest exactly one adds a location. @returns those that an object holds already, and goes on holding
     */
    async lock(blobs: readonly Wanted[], now: number): Promise<Set<Digest>> {
      const rows = wantedRows(db, blobs);
      // Mostly there are neither: each row is told by nothing.
      const found = async (): Promise<Array<{ digest: Buffer; is_new: boolean | number }>> =>
        rowsOf(
          await db.raw(
            `select r.digest as digest, b.no is null as is_new from ?
             where b.no is null or (b.object_no is not null and not ${isLost('b.no')})`,
            [blobOfEach(db, rows, 'with nulls')],
          ),
        );
      let told = await found();
      // Who registered the files has made the rows.
      if (told.some(({ is_new }) => is_new)) await addBlobs(db, rows);
      // SQLite's BEGIN IMMEDIATE has locked everything already.
      if (isPostgres(db)) {
        await db.raw(
          'select b.no from blobs b where b.digest in (select r.digest from ? r) order by b.digest for no key update',
          [rows],
        );
        // What others did, who had the locks before.
        told = await found();
      }
      const held = told.flatMap(({ digest, is_new }) => (is_new ? [] : [digestFromBytes(digest)]));
      if (held.length > 0) await revive(db, rows, now);
      return new Set(held);
    },

    /**
     * For whoever is about to need bytes without sending them: until the transaction ends, no object that these blobs are read from is
     * condemned, and what was is live again. @param blobs that `provableBy` gave in this transaction
     * @returns those that are still held
     */
    async retain(blobs: readonly Wanted[], now: number): Promise<Set<Digest>> {
      if (blobs.length === 0) return new Set();
      const rows = wantedRows(db, blobs);
      const held = isPostgres(db) ? await lockHeld(rows) : blobs.map(({ digest }) => digest);
      await revive(db, rows, now);
      return new Set(held);
    },

    /** Says which bytes of a live object are which blobs, whose rows are locked. */
    async addLocations(objectId: string, places: ReadonlyArray<Wanted & { offset: number }>): Promise<void> {
      const rows = recordset(
        db,
        { digest: 'bytes', start: 'integer', size: 'integer' },
        byDigest(places).map(({ digest, offset, size }) => [digestHex(digest), offset, size]),
      );
      // All of the rows are there: this finds each by its digest.
      const first: unknown[] = rowsOf(
        await db.raw(
          `insert into blobs (digest, size, object_no, "offset") select digest, size, ${OBJECT_NO}, start from ? r where true
           on conflict (digest) do update set
             size = excluded.size, object_no = excluded.object_no, "offset" = excluded."offset"
           where blobs.object_no is null returning 1`,
          [objectId, rows],
        ),
      );
      if (first.length < places.length) {
        await db.raw(
          `insert into blob_locations (blob_no, object_no, "offset") select b.no, o.no, r.start from ?
           cross join objects o where o.id = ? and b.object_no <> o.no`,
          [blobOfEach(db, rows), objectId],
        );
      }
      if (await db('lost_blobs').first('blob_no'))
        await db.raw('delete from lost_blobs where blob_no in (select b.no from ?)', [blobOfEach(db, rows)]);
    },

    /** Where a blob's bytes are; null when nothing has them. */
    async locate(digest: Digest): Promise<StoredAt | null> {
      const blob = db.raw('blobs b where b.digest = ?', [digestToBytes(digest)]);
      const [at] = await located(db, blob, {}, 'digest');
      if (at === undefined) return null;
      const object = await db('objects')
        .where({ id: at.object_id })
        .first('key', 'version_id', 'size as object_size', 'encoding', 'state');
      return { ...object, object_id: at.object_id, offset: at.offset };
    },

    /** Those of these digests that a file of a living package has. */
    async neededAmong(digests: readonly Digest[]): Promise<Set<Digest>> {
      const rows: Array<{ digest: Buffer }> = rowsOf(
        await db.raw(`select b.digest as digest from ? where ${isNeeded('b.no')}`, [
          blobOfEach(db, digestRows(db, digests)),
        ]),
      );
      return new Set(rows.map(({ digest }) => digestFromBytes(digest)));
    },

    /** Those of these digests that a file of a living package has, and no object holds. */
    async wantedAmong(digests: readonly Digest[]): Promise<Set<Digest>> {
      const rows: Array<{ digest: Buffer }> = rowsOf(
        await db.raw(
          `select b.digest as digest from ? where (b.object_no is null or ${isLost('b.no')}) and ${isNeeded('b.no')}`,
          [blobOfEach(db, digestRows(db, digests))],
        ),
      );
      return new Set(rows.map(({ digest }) => digestFromBytes(digest)));
    },

    /** Those of these blobs that a living package needs and that no object holds. */
    async lostAndNeeded(wanted: readonly Wanted[]): Promise<Set<Digest>> {
      const rows: Array<{ digest: Buffer }> = rowsOf(
        await db.raw(
          `select r.digest as digest from ? where ${isLost('b.no')} and exists (
             select 1 from package_files f join packages p on p.no = f.package_no
             where f.blob_no = b.no and f.size = r.size and p.status in (${LIVING}) and ${isThere('f', 'p')})`,
          [blobOfEach(db, wantedRows(db, wanted))],
        ),
      );
      return new Set(rows.map(({ digest }) => digestFromBytes(digest)));
    },

    /** Whether a living package needs bytes that no object holds. */
    async anyLostIsNeeded(): Promise<boolean> {
      return (await db('lost_blobs as x').whereRaw(isNeeded('x.blob_no')).first('x.blob_no')) !== undefined;
    },

    /** Which of these objects hold nothing but blobs that the caller has a right to (as `provableBy` says). */
    async whollyReadable(reads: Reads, packageId: PackageId, ids: readonly string[]): Promise<Set<string>> {
      if ('all' in reads) return new Set(ids);
      const wanted = idRows(db, ids);
      // These objects first, and of each its blobs within bounds and in order: PostgreSQL would ask it of all objects, or join, or
      // read all blobs until one is found.
      const ofObject = (alias: string): string =>
        `${alias}.object_no >= o.no and ${alias}.object_no <= o.no and not ? order by ${alias}.object_no limit 1`;
      const rows: Array<{ id: string }> = rowsOf(
        await db.raw(
          `with wanted as materialized (
             select o.id, o.no from ? r cross join objects o where o.id = r.id and ${isHolding('o')})
           select o.id as id from wanted o where coalesce((select false from blobs b where ${ofObject('b')}), true)
             and coalesce((select false from blob_locations l where ${ofObject('l')}), true)`,
          [
            wanted,
            provenFor(db, reads, packageId, 'b.no', 'b.size'),
            provenFor(db, reads, packageId, 'l.blob_no', '(select b.size from blobs b where b.no = l.blob_no)'),
          ],
        ),
      );
      return new Set(rows.map(({ id }) => id));
    },
  };
}

export type BlobTable = ReturnType<typeof blobTable>;

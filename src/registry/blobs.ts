import type { Knex } from 'knex';
import { type Digest, digestFromBytes, digestHex, digestToBytes } from '../core/digest.ts';
import type { Encoding, StoredForm } from '../core/frame-table.ts';
import type { PackageId } from '../core/ids.ts';
import type { ObjectState } from '../core/object-state.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { provenFor, type Wanted, wantedRows } from './file-proofs.ts';
import { located } from './locations.ts';
import { addBlobs, blobOfEach } from './numbers.ts';
import { objectCheckTable } from './object-checks.ts';
import { isHolding, isLost, objectStates, revive } from './object-states.ts';
import { packMembers } from './pack-members.ts';
import type { Reads } from './reads.ts';
import { byDigest, digestRows, idRows, recordset } from './recordset.ts';
import { isNeeded, LIVING, unneededObjects } from './unneeded-objects.ts';

export interface ObjectRecord {
  id: string;
  kind: 'blob' | 'pack' | 'manifest';
  key: string;
  version_id: string | null;
  digest: Digest;
  size: number;
  encoding: Encoding;
  /** Of the bytes that storage has. */
  stored_size: number;
  /** Null: those are the content, and have its digest. */
  stored_digest: Digest | null;
  state: ObjectState;
  created_at: number;
}

/** Live from the beginning. */
export type NewObject = Pick<ObjectRecord, 'id' | 'kind' | 'key' | 'version_id' | 'digest' | 'size' | 'created_at'> & {
  /** Null: it is stored as it is. */
  stored: StoredForm | null;
};

export interface ObjectTotals {
  objects: number;
  size: number;
  stored_size: number;
  /** Of those, what waits to be removed. */
  condemned: number;
  condemned_size: number;
}

/** An object beside what storage lists. */
export type KeptObject = Pick<ObjectRecord, 'id' | 'key' | 'state' | 'version_id' | 'stored_size'>;

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

type ObjectRow = Omit<ObjectRecord, 'digest' | 'stored_digest'> & { digest: Buffer; stored_digest: Buffer | null };

const OBJECT_COLUMNS = [
  'id',
  'kind',
  'key',
  'version_id',
  'digest',
  'size',
  'encoding',
  'stored_size',
  'stored_digest',
  'state',
  'created_at',
] as const satisfies ReadonlyArray<keyof ObjectRecord>;

/** The number of the object whose id is the parameter. */
const OBJECT_NO = '(select no from objects where id = ?)';

function fromRow(row: ObjectRow): ObjectRecord {
  return {
    ...row,
    digest: digestFromBytes(row.digest),
    stored_digest: row.stored_digest && digestFromBytes(row.stored_digest),
  };
}

/** Blobs, the objects that hold bytes, and which bytes are where. */
export function blobTable(db: Knex) {
  const unneeded = unneededObjects(db);

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
    ...unneeded,
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

    async addObject({ stored, ...object }: NewObject): Promise<void> {
      await db('objects').insert({
        ...object,
        digest: digestToBytes(object.digest),
        encoding: stored === null ? 'identity' : 'zstd-seekable',
        stored_size: stored?.size ?? object.size,
        stored_digest: stored && digestToBytes(stored.digest),
      });
      if (stored !== null)
        await db('object_frames').insert({
          object_no: db.raw(OBJECT_NO, [object.id]),
          frames: Buffer.from(stored.frames),
        });
      await objectCheckTable(db).add(object.id);
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

    async getObject(id: string): Promise<ObjectRecord | null> {
      const row: ObjectRow | undefined = await db('objects').where({ id }).first(OBJECT_COLUMNS);
      return row ? fromRow(row) : null;
    },

    async getObjects(ids: readonly string[]): Promise<Map<string, ObjectRecord>> {
      const wanted = idRows(db, ids);
      const rows: ObjectRow[] = rowsOf(
        await db.raw(
          `select ${OBJECT_COLUMNS.map((column) => `o.${column}`).join(', ')} from ? r cross join objects o where o.id = r.id`,
          [wanted],
        ),
      );
      return new Map(rows.map((row) => [row.id, fromRow(row)]));
    },

    /** Objects whose bytes count: half of them the oldest, half the newest. */
    async sample(count: number): Promise<Array<Pick<ObjectRecord, 'key' | 'version_id' | 'stored_size'>>> {
      const half = (direction: 'asc' | 'desc') =>
        db('objects')
          .whereRaw(isHolding('objects'))
          .orderBy('no', direction)
          .limit(Math.ceil(count / 2))
          .select('key', 'version_id', 'stored_size');
      const [oldest, newest] = [await half('asc'), await half('desc')];
      return [...new Map([...oldest, ...newest].map((row) => [row.key, row])).values()];
    },

    /** The next objects of blobs, of any state, in the order of their keys. */
    async keysAfter(key: string, limit: number): Promise<KeptObject[]> {
      return db('objects')
        .where('key', '>', key)
        .whereNot({ kind: 'manifest' })
        .orderBy('key')
        .limit(limit)
        .select('id', 'key', 'state', 'version_id', 'stored_size');
    },

    /** Whether these keys have objects, and whether those are gone. */
    async statesByKey(keys: readonly string[]): Promise<Map<string, 'kept' | 'gone'>> {
      const rows: Array<{ key: string; state: ObjectState }> = rowsOf(
        await db.raw('select o.key as key, o.state as state from ? r cross join objects o where o.key = r.id', [
          idRows(db, keys),
        ]),
      );
      return new Map(rows.map(({ key, state }) => [key, state === 'gone' ? 'gone' : 'kept']));
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

    /** Those of these blobs that a living package needs and that no object holds. */
    async lostAndNeeded(wanted: readonly Wanted[]): Promise<Set<Digest>> {
      const rows: Array<{ digest: Buffer }> = rowsOf(
        await db.raw(
          `select r.digest as digest from ? where ${isLost('b.no')} and exists (
             select 1 from package_files f join packages p on p.no = f.package_no
             where f.blob_no = b.no and f.size = r.size and p.status in (${LIVING}))`,
          [blobOfEach(db, wantedRows(db, wanted))],
        ),
      );
      return new Set(rows.map(({ digest }) => digestFromBytes(digest)));
    },

    /** Whether a living package needs bytes that no object holds. */
    async anyLostIsNeeded(): Promise<boolean> {
      return (await db('lost_blobs as x').whereRaw(isNeeded('x.blob_no')).first('x.blob_no')) !== undefined;
    },

    /** The encoded frame tables of those objects that are stored in frames. */
    async frames(ids: readonly string[]): Promise<Map<string, Buffer>> {
      const wanted = idRows(db, ids);
      const rows: Array<{ object_id: string; frames: Buffer }> = rowsOf(
        await db.raw(
          `select o.id as object_id, f.frames as frames from ? r cross join objects o cross join object_frames f
           where o.id = r.id and f.object_no = o.no`,
          [wanted],
        ),
      );
      return new Map(rows.map((row) => [row.object_id, row.frames]));
    },

    /** How many objects there are, and their bytes: of what they hold, and in storage. Reads all of them. */
    async totals(): Promise<ObjectTotals> {
      const row = await db('objects')
        .whereRaw(isHolding('objects'))
        .first(
          db.raw('count(*) as objects, coalesce(sum(size), 0) as size, coalesce(sum(stored_size), 0) as stored_size'),
        );
      const condemned = await unneeded.countCondemned();
      return {
        objects: Number(row.objects),
        size: Number(row.size),
        stored_size: Number(row.stored_size),
        condemned: condemned.objects,
        condemned_size: condemned.bytes,
      };
    },

    /** Bytes of these objects in storage. */
    async storedSize(ids: readonly string[]): Promise<number> {
      const wanted = idRows(db, ids);
      const [row] = rowsOf<{ bytes: number | string }>(
        await db.raw(
          'select coalesce(sum(o.stored_size), 0) as bytes from ? r cross join objects o where o.id = r.id',
          [wanted],
        ),
      );
      return Number(row?.bytes);
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

    async getObjectByKey(key: string): Promise<ObjectRecord | null> {
      const row: ObjectRow | undefined = await db('objects').where({ key }).first(OBJECT_COLUMNS);
      return row ? fromRow(row) : null;
    },
  };
}

export type BlobTable = ReturnType<typeof blobTable>;

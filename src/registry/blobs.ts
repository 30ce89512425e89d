import type { Knex } from 'knex';
import { type Digest, digestFromBytes, digestHex, digestToBytes } from '../core/digest.ts';
import type { Encoding, StoredForm } from '../core/frame-table.ts';
import type { PackageId } from '../core/ids.ts';
import { rowsOf } from './dialect.ts';
import { provenFor, type Wanted, wantedRows } from './file-proofs.ts';
import { bestObject, isLost, type ObjectState, objectStates } from './lost-blobs.ts';
import type { Reads } from './reads.ts';
import { byDigest, digestRows, idRows, recordset } from './recordset.ts';

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
}

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

function fromRow(row: ObjectRow): ObjectRecord {
  return {
    ...row,
    digest: digestFromBytes(row.digest),
    stored_digest: row.stored_digest && digestFromBytes(row.stored_digest),
  };
}

/** Blobs, the objects that hold bytes, and which bytes are where. */
export function blobTable(db: Knex) {
  return {
    ...objectStates(db),

    /**
     * Takes the locks of these blobs' rows until the transaction ends (making the rows when they are new), so that of two
     * uploads of one digest exactly one adds a location. @returns those that a live object holds already
     */
    async lock(blobs: readonly Wanted[], now: number): Promise<Set<Digest>> {
      const rows = wantedRows(db, blobs);
      await db.raw(
        `insert into blobs (digest, size, created_at) select digest, size, ? from ? r where true order by digest
         on conflict (digest) do update set size = excluded.size`,
        [now, rows],
      );
      const stored: Array<{ digest: Buffer }> = rowsOf(
        await db.raw(
          `select r.digest as digest from ? r
           where exists (select 1 from blob_locations l where l.digest = r.digest) and not ${isLost('r.digest')}`,
          [rows],
        ),
      );
      return new Set(stored.map((row) => digestFromBytes(row.digest)));
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
        await db('object_frames').insert({ object_id: object.id, frames: Buffer.from(stored.frames) });
    },

    /** Says which bytes of a live object are which blobs. */
    async addLocations(objectId: string, places: ReadonlyArray<Wanted & { offset: number }>): Promise<void> {
      const rows = recordset(
        db,
        { digest: 'bytes', start: 'integer', size: 'integer' },
        byDigest(places).map(({ digest, offset, size }) => [digestHex(digest), offset, size]),
      );
      await db.raw(
        `insert into blob_locations (digest, object_id, "offset", size) select digest, ?, start, size from ? r`,
        [objectId, rows],
      );
      await db.raw('delete from lost_blobs where digest in (select r.digest from ? r)', [rows]);
    },

    /** Where a blob's bytes are; null when nothing has them. */
    async locate(digest: Digest): Promise<StoredAt | null> {
      const row = await db('blob_locations as l')
        .join('objects as o', 'o.id', 'l.object_id')
        .where('l.digest', digestToBytes(digest))
        .whereRaw(`l.object_id = ${bestObject('l.digest')}`)
        .first('o.key', 'o.version_id', 'l.object_id', 'l.offset', 'o.size as object_size', 'o.encoding', 'o.state');
      return row ?? null;
    },

    /** The objects that these blobs are read from, each once. */
    async objectsOf(digests: readonly Digest[]): Promise<string[]> {
      const wanted = digestRows(db, digests);
      const rows: Array<{ id: string | null }> = rowsOf(
        await db.raw(`select distinct ${bestObject('r.digest')} as id from ? r`, [wanted]),
      );
      return rows.flatMap(({ id }) => (id === null ? [] : [id]));
    },

    async getObject(id: string): Promise<ObjectRecord | null> {
      const row: ObjectRow | undefined = await db('objects').where({ id }).first();
      return row ? fromRow(row) : null;
    },

    async getObjects(ids: readonly string[]): Promise<Map<string, ObjectRecord>> {
      const wanted = idRows(db, ids);
      const rows: ObjectRow[] = rowsOf(
        await db.raw('select o.* from ? r cross join objects o where o.id = r.id', [wanted]),
      );
      return new Map(rows.map((row) => [row.id, fromRow(row)]));
    },

    /** The encoded frame tables of those objects that are stored in frames. */
    async frames(ids: readonly string[]): Promise<Map<string, Buffer>> {
      const wanted = idRows(db, ids);
      const rows: Array<{ object_id: string; frames: Buffer }> = rowsOf(
        await db.raw('select f.* from ? r cross join object_frames f where f.object_id = r.id', [wanted]),
      );
      return new Map(rows.map((row) => [row.object_id, row.frames]));
    },

    /** How many objects there are, and their bytes: of what they hold, and in storage. Reads all of them. */
    async totals(): Promise<ObjectTotals> {
      const row = await db('objects')
        .whereRaw(`state = 'live'`)
        .first(
          db.raw('count(*) as objects, coalesce(sum(size), 0) as size, coalesce(sum(stored_size), 0) as stored_size'),
        );
      return { objects: Number(row.objects), size: Number(row.size), stored_size: Number(row.stored_size) };
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
      const rows: Array<{ id: string }> = rowsOf(
        await db.raw(
          `select r.id as id from ? r where not exists (
             select 1 from blob_locations l where l.object_id = r.id and not ?)`,
          [wanted, provenFor(db, reads, packageId, 'l')],
        ),
      );
      return new Set(rows.map(({ id }) => id));
    },

    async getObjectByKey(key: string): Promise<ObjectRecord | null> {
      const row: ObjectRow | undefined = await db('objects').where({ key }).first();
      return row ? fromRow(row) : null;
    },
  };
}

export type BlobTable = ReturnType<typeof blobTable>;

import type { Knex } from 'knex';
import { type Digest, digestFromBytes, digestHex, digestToBytes } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import { rowsOf } from './dialect.ts';
import { provenFor, type Wanted, wantedRows } from './file-proofs.ts';
import { bestObject, isLost, type ObjectState, objectStates } from './lost-blobs.ts';
import type { Reads } from './reads.ts';
import { byDigest, recordset } from './recordset.ts';

export interface ObjectRecord {
  id: string;
  kind: 'blob' | 'pack' | 'manifest';
  key: string;
  version_id: string | null;
  digest: Digest;
  size: number;
  state: ObjectState;
  created_at: number;
}

/** Live from the beginning. */
export type NewObject = Omit<ObjectRecord, 'state'>;

/** Where a blob's bytes are. */
export interface StoredAt {
  object_id: string;
  key: string;
  version_id: string | null;
  offset: number;
  /** Of the whole object. */
  object_size: number;
  /** Lost only when no live object holds the blob. */
  state: ObjectState;
}

type ObjectRow = Omit<ObjectRecord, 'digest'> & { digest: Buffer };

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

    async addObject(object: NewObject): Promise<void> {
      await db('objects').insert({ ...object, digest: digestToBytes(object.digest) });
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
        .first('o.key', 'o.version_id', 'l.object_id', 'l.offset', 'o.size as object_size', 'o.state');
      return row ?? null;
    },

    /** The objects that these blobs are read from, each once. */
    async objectsOf(digests: readonly Digest[]): Promise<string[]> {
      const wanted = recordset(
        db,
        { digest: 'bytes' },
        digests.map((digest) => [digestHex(digest)]),
      );
      const rows: Array<{ id: string | null }> = rowsOf(
        await db.raw(`select distinct ${bestObject('r.digest')} as id from ? r`, [wanted]),
      );
      return rows.flatMap(({ id }) => (id === null ? [] : [id]));
    },

    async getObject(id: string): Promise<ObjectRecord | null> {
      const row: ObjectRow | undefined = await db('objects').where({ id }).first();
      return row ? { ...row, digest: digestFromBytes(row.digest) } : null;
    },

    async getObjects(ids: readonly string[]): Promise<Map<string, ObjectRecord>> {
      const wanted = recordset(
        db,
        { id: 'text' },
        ids.map((id) => [id]),
      );
      const rows: ObjectRow[] = rowsOf(
        await db.raw('select o.* from ? r cross join objects o where o.id = r.id', [wanted]),
      );
      return new Map(rows.map((row) => [row.id, { ...row, digest: digestFromBytes(row.digest) }]));
    },

    /** Which of these objects hold nothing but blobs that the caller has a right to (as `provableBy` says). */
    async whollyReadable(reads: Reads, packageId: PackageId, ids: readonly string[]): Promise<Set<string>> {
      if ('all' in reads) return new Set(ids);
      const wanted = recordset(
        db,
        { id: 'text' },
        ids.map((id) => [id]),
      );
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
      return row ? { ...row, digest: digestFromBytes(row.digest) } : null;
    },
  };
}

export type BlobTable = ReturnType<typeof blobTable>;

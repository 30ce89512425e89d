import type { Knex } from 'knex';
import { type Digest, digestFromBytes, digestToBytes } from '../core/digest.ts';
import { rowsOf } from './files.ts';
import { recordset } from './recordset.ts';

export interface ObjectRecord {
  id: string;
  kind: 'blob' | 'pack' | 'manifest';
  key: string;
  version_id: string | null;
  digest: Digest;
  size: number;
  created_at: number;
}

export interface LocationRecord {
  digest: Digest;
  object_id: string;
  offset: number;
  size: number;
}

/** Where a blob's bytes are. */
export interface StoredAt {
  object_id: string;
  key: string;
  version_id: string | null;
  offset: number;
  /** Of the whole object. */
  object_size: number;
}

type ObjectRow = Omit<ObjectRecord, 'digest'> & { digest: Buffer };

/** Blobs, the objects that hold bytes, and which bytes are where. */
export function blobTable(db: Knex) {
  return {
    /**
     * Takes the blob row's lock until the transaction ends (making the row when it is new), so that of two uploads of
     * one digest exactly one adds its object. @returns whether the blob has a location already
     */
    async lock(digest: Digest, size: number, now: number): Promise<{ stored: boolean }> {
      const raw = digestToBytes(digest);
      await db('blobs').insert({ digest: raw, size, created_at: now }).onConflict('digest').merge({ size });
      const location = await db('blob_locations').where({ digest: raw }).first('object_id');
      return { stored: location !== undefined };
    },

    async addObject(object: ObjectRecord): Promise<void> {
      await db('objects').insert({ ...object, digest: digestToBytes(object.digest) });
    },

    async addLocation({ digest, ...location }: LocationRecord): Promise<void> {
      await db('blob_locations').insert({ ...location, digest: digestToBytes(digest) });
    },

    /** Where a blob's bytes are; null when nothing has them. */
    async locate(digest: Digest): Promise<StoredAt | null> {
      const row = await db('blob_locations as l')
        .join('objects as o', 'o.id', 'l.object_id')
        .where('l.digest', digestToBytes(digest))
        .orderBy('l.object_id')
        .first('o.key', 'o.version_id', 'l.object_id', 'l.offset', 'o.size as object_size');
      return row ?? null;
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

    async getObjectByKey(key: string): Promise<ObjectRecord | null> {
      const row: ObjectRow | undefined = await db('objects').where({ key }).first();
      return row ? { ...row, digest: digestFromBytes(row.digest) } : null;
    },
  };
}

export type BlobTable = ReturnType<typeof blobTable>;

import type { Knex } from 'knex';
import { type Digest, digestFromBytes, digestToBytes } from '../core/digest.ts';

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

    async getObject(id: string): Promise<ObjectRecord | null> {
      const row: ObjectRow | undefined = await db('objects').where({ id }).first();
      return row ? { ...row, digest: digestFromBytes(row.digest) } : null;
    },

    async getObjects(ids: readonly string[]): Promise<Map<string, ObjectRecord>> {
      const found = new Map<string, ObjectRecord>();
      for (let start = 0; start < ids.length; start += 1_000) {
        const rows: ObjectRow[] = await db('objects').whereIn('id', ids.slice(start, start + 1_000));
        for (const row of rows) found.set(row.id, { ...row, digest: digestFromBytes(row.digest) });
      }
      return found;
    },

    async getObjectByKey(key: string): Promise<ObjectRecord | null> {
      const row: ObjectRow | undefined = await db('objects').where({ key }).first();
      return row ? { ...row, digest: digestFromBytes(row.digest) } : null;
    },
  };
}

export type BlobTable = ReturnType<typeof blobTable>;

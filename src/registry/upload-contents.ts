import type { Knex } from 'knex';
import { digestFromBytes, digestHex } from '../core/digest.ts';
import type { UploadId } from '../core/ids.ts';
import { decodeMembers, encodeMembers, type PackMember } from '../core/pack.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { UploadState } from '../core/upload-state.ts';
import { rowsOf } from './dialect.ts';
import { type Cell, idRows, recordset } from './recordset.ts';
import type { NewUpload } from './upload-record.ts';

/** What was planned of uploads: their parts, the members of packs, the frames of what is stored in frames. */
export function uploadContents(db: Knex) {
  /** A table that has bytes for some uploads. */
  async function insertBytes(table: string, column: string, rows: readonly Cell[][]): Promise<void> {
    if (rows.length === 0) return;
    await db.raw(`insert into ${table} (upload_id, ${column}) select upload_id, ${column} from ? r`, [
      recordset(db, { upload_id: 'text', [column]: 'bytes' }, rows),
    ]);
  }

  return {
    async insert(uploads: readonly NewUpload[]): Promise<void> {
      const parts = uploads.flatMap((upload) =>
        upload.parts.map((part): Cell[] => [upload.id, part.number, digestHex(part.digest), part.offset, part.size]),
      );
      await db.raw(
        `insert into upload_parts (upload_id, number, digest, "offset", size)
         select upload_id, number, digest, start, size from ? r`,
        [
          recordset(
            db,
            { upload_id: 'text', number: 'integer', digest: 'bytes', start: 'integer', size: 'integer' },
            parts,
          ),
        ],
      );
      await insertBytes(
        'upload_members',
        'members',
        uploads.flatMap(({ id, members }): Cell[][] => (members ? [[id, encodeMembers(members)]] : [])),
      );
      await insertBytes(
        'upload_frames',
        'frames',
        uploads.flatMap(({ id, stored }): Cell[][] => (stored ? [[id, Buffer.from(stored.frames)]] : [])),
      );
    },

    /** Of an upload that has ended nothing but its parts is needed. */
    async end(id: UploadId): Promise<void> {
      await db('upload_members').where({ upload_id: id }).delete();
      await db('upload_frames').where({ upload_id: id }).delete();
    },

    /** The members of those uploads that are packs and have not ended. */
    async members(ids: readonly UploadId[]): Promise<Map<UploadId, PackMember[]>> {
      const wanted = idRows(db, ids);
      const rows: Array<{ upload_id: UploadId; members: Buffer }> = rowsOf(
        await db.raw('select m.* from ? r cross join upload_members m where m.upload_id = r.id', [wanted]),
      );
      return new Map(rows.map((row) => [row.upload_id, decodeMembers(row.members)]));
    },

    /** The encoded frame tables of those uploads that have one and have not ended. */
    async frames(ids: readonly UploadId[]): Promise<Map<UploadId, Buffer<ArrayBuffer>>> {
      const wanted = idRows(db, ids);
      const rows: Array<{ upload_id: UploadId; frames: Buffer<ArrayBuffer> }> = rowsOf(
        await db.raw('select f.* from ? r cross join upload_frames f where f.upload_id = r.id', [wanted]),
      );
      return new Map(rows.map((row) => [row.upload_id, row.frames]));
    },

    async parts(ids: readonly UploadId[]): Promise<Map<UploadId, PlannedPart[]>> {
      const found = new Map<UploadId, PlannedPart[]>(ids.map((id) => [id, []]));
      const wanted = idRows(db, ids);
      const rows: Array<Omit<PlannedPart, 'digest'> & { upload_id: UploadId; digest: Buffer }> = rowsOf(
        await db.raw(
          `select p.upload_id, p.number, p.digest, p."offset", p.size from ? r cross join upload_parts p
           where p.upload_id = r.id order by p.upload_id, p.number`,
          [wanted],
        ),
      );
      for (const { upload_id, number, digest, offset, size } of rows) {
        found.get(upload_id)?.push({ number, digest: digestFromBytes(digest), offset, size });
      }
      return found;
    },

    /** One planned part and its upload's state, in one look-up: what a part request needs. */
    async findPart(id: UploadId, number: number): Promise<{ part: PlannedPart; state: UploadState } | null> {
      const row: (Omit<PlannedPart, 'digest'> & { digest: Buffer; state: UploadState }) | undefined = await db(
        'upload_parts as p',
      )
        .join('uploads as u', 'u.id', 'p.upload_id')
        .where({ 'p.upload_id': id, 'p.number': number })
        .first('p.number', 'p.digest', 'p.offset', 'p.size', 'u.state');
      if (!row) return null;
      const { state, ...part } = row;
      return { part: { ...part, digest: digestFromBytes(part.digest) }, state };
    },
  };
}

import type { Knex } from 'knex';
import type { UploadId } from '../core/ids.ts';
import { UNENDED_STATES, type UnendedState } from '../core/upload-state.ts';
import { rowsOf } from './dialect.ts';
import { fromRow, type UploadRecord, type UploadRow } from './upload-record.ts';

/** An upload that has not come to its end, and what storage calls it. */
export type Unended = Pick<UploadRecord, 'id' | 'key' | 'state' | 'storage_upload_id'>;

/** Uploads that recovery, and later the sweep, has to look at. */
export function unendedUploads(db: Knex) {
  return {
    // The states below stand in the text, not in a parameter: only then a partial index can serve them.

    /** Open or aborting: every upload that storage may hold something of which is still wanted, or still to be removed. */
    async listUnended(): Promise<Unended[]> {
      const columns = ['id', 'key', 'state', 'storage_upload_id'] as const;
      const open = db('uploads').whereRaw(`state = 'open'`).select(columns);
      return open.unionAll(db('uploads').whereRaw(`state = 'aborting'`).select(columns));
    },

    /** How many there are of each state that is no end, from partial indexes: what has ended costs nothing. */
    async countUnended(): Promise<Record<UnendedState, number>> {
      const counts = UNENDED_STATES.map(
        (state) => `(select count(*) from uploads where state = '${state}') as ${state}`,
      );
      const [row] = rowsOf<Record<UnendedState, number | string>>(await db.raw(`select ${counts.join(', ')}`));
      return Object.fromEntries(UNENDED_STATES.map((state) => [state, Number(row?.[state])])) as Record<
        UnendedState,
        number
      >;
    },

    /** Those that belong to no package, the newest first. */
    async listOfNone(limit: number): Promise<UploadRecord[]> {
      const rows: UploadRow[] = await db('uploads').whereNull('package_id').orderBy('id', 'desc').limit(limit);
      return rows.map(fromRow);
    },

    async listExpired(now: number, limit: number): Promise<UploadRecord[]> {
      const query = db('uploads').whereRaw(`state = 'open'`).where('expires_at', '<=', now);
      return ((await query.orderBy('expires_at').limit(limit)) as UploadRow[]).map(fromRow);
    },

    async listAborting(limit: number): Promise<UploadRecord[]> {
      const rows: UploadRow[] = await db('uploads').whereRaw(`state = 'aborting'`).orderBy('expires_at').limit(limit);
      return rows.map(fromRow);
    },

    async listStalled(now: number, limit: number): Promise<UploadRecord[]> {
      const query = db('uploads').whereRaw(`state = 'completing'`).where('lease_until', '<=', now);
      return ((await query.orderBy('lease_until').limit(limit)) as UploadRow[]).map(fromRow);
    },

    /** Whose keys are to be freed now. */
    async listDropping(limit: number): Promise<UploadRecord[]> {
      const query = db('uploads').whereRaw('drop_key = true and drop_later = false');
      return ((await query.orderBy('id').limit(limit)) as UploadRow[]).map(fromRow);
    },

    /** Whose keys storage could not free when it was asked: something may stand there, or come to stand there. For the sweep. */
    async listDroppingLater(after: UploadId | null, limit: number): Promise<UploadRecord[]> {
      const query = db('uploads').whereRaw('drop_later = true').orderBy('id').limit(limit);
      if (after !== null) query.where('id', '>', after);
      return ((await query) as UploadRow[]).map(fromRow);
    },
  };
}

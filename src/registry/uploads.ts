import type { Knex } from 'knex';
import { type Digest, digestToBytes } from '../core/digest.ts';
import type { PackageId, UploadId } from '../core/ids.ts';
import { canMove, isFinal, type UploadState } from '../core/upload-state.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { EVERYTHING, type Reads } from './reads.ts';
import { byDigest, type Cell, digestRows, idRows, recordset } from './recordset.ts';
import { unendedUploads } from './unended-uploads.ts';
import { uploadContents } from './upload-contents.ts';
import { fromRow, type NewUpload, type UploadRecord, type UploadRow } from './upload-record.ts';

/** What a move may set beside the state. */
export type MoveChange = Partial<
  Pick<UploadRecord, 'owner' | 'lease_until' | 'completed_at' | 'version_id' | 'failure' | 'drop_key'>
>;

/** As the partial index `uploads_one_per_digest` says it: in the text, for only then it can serve. */
const LIVE = `channel = 'direct' and state in ('open', 'completing')`;

export function uploadTable(db: Knex) {
  const postgres = isPostgres(db);
  const contents = uploadContents(db);

  /** Ids of uploads, their rows locked one after the other: statements that lock the same rows never deadlock. */
  function inOrder(query: Knex.QueryBuilder): Knex.QueryBuilder {
    const ordered = query.orderBy('id').select('id');
    return postgres ? ordered.forNoKeyUpdate() : ordered;
  }

  return {
    parts: contents.parts,
    findPart: contents.findPart,
    members: contents.members,
    frames: contents.frames,
    ...unendedUploads(db),

    /** Null: there is none, or none that may be read. One that belongs to no package is for those who may read everything. */
    async get(id: UploadId, reads: Reads = EVERYTHING): Promise<UploadRecord | null> {
      const query = db('uploads').where({ id }).first();
      if (!('all' in reads)) {
        query.whereIn(
          'package_id',
          db('packages')
            .whereIn('producer', [...reads.producers])
            .select('id'),
        );
      }
      const row: UploadRow | undefined = await query;
      return row ? fromRow(row) : null;
    },

    async getMany(ids: readonly UploadId[]): Promise<UploadRecord[]> {
      const wanted = idRows(db, ids);
      const rows: UploadRow[] = rowsOf(
        await db.raw('select u.* from ? r cross join uploads u where u.id = r.id', [wanted]),
      );
      return rows.map(fromRow);
    },

    /** The open or completing direct uploads of these digests in a package; null: of those in none, the newest of each. */
    async findLive(packageId: PackageId | null, digests: readonly Digest[]): Promise<Map<Digest, UploadRecord>> {
      const wanted = digestRows(db, digests);
      const rows: UploadRow[] = rowsOf(
        await db.raw(
          `select u.* from ? r cross join uploads u
           where u.package_id ${packageId === null ? 'is null' : '= ?'} and u.digest = r.digest
           and u.channel = 'direct' and u.state in ('open', 'completing') order by u.id`,
          [wanted, ...(packageId === null ? [] : [packageId])],
        ),
      );
      return new Map(rows.map(fromRow).map((upload) => [upload.digest, upload]));
    },

    /** How many uploads of clients' are open or completing in a package, from an index that has none but these; `most` if more. */
    async countLive(packageId: PackageId, most: number): Promise<number> {
      const some = db('uploads').where({ package_id: packageId }).whereRaw(LIVE).limit(most).select('id');
      const [row] = rowsOf<{ count: number | string }>(await db.raw('select count(*) as count from (?) u', [some]));
      return Number(row?.count);
    },

    async insert(uploads: readonly NewUpload[]): Promise<void> {
      if (uploads.length === 0) return;
      const rows = byDigest(uploads).map((upload): Cell[] => [
        upload.id,
        upload.package_id,
        upload.channel,
        upload.members === null ? 'blob' : 'pack',
        digestToBytes(upload.digest),
        upload.size,
        upload.stored === null ? 'identity' : 'zstd-seekable',
        upload.stored?.size ?? upload.size,
        upload.stored && digestToBytes(upload.stored.digest),
        upload.key,
        upload.created_by,
        upload.created_at,
        upload.expires_at,
      ]);
      const columns = {
        id: 'text',
        package_id: 'text',
        channel: 'text',
        kind: 'text',
        digest: 'bytes',
        size: 'integer',
        encoding: 'text',
        stored_size: 'integer',
        stored_digest: 'bytes',
        key: 'text',
        created_by: 'text',
        created_at: 'integer',
        expires_at: 'integer',
      } as const;
      const names = Object.keys(columns).join(', ');
      await db.raw(`insert into uploads (${names}, state) select ${names}, 'open' from ? r`, [
        recordset(db, columns, rows),
      ]);
      await contents.insert(uploads);
    },

    /** Keeps the backend's names of open uploads that have none yet: the first of two planners wins. */
    async setStorageIds(named: ReadonlyArray<{ id: UploadId; storageUploadId: string }>): Promise<void> {
      if (named.length === 0) return;
      const rows = recordset(
        db,
        { id: 'text', name: 'text' },
        named.map(({ id, storageUploadId }) => [id, storageUploadId]),
      );
      const lock = inOrder(
        db('uploads')
          .where({ state: 'open' })
          .whereNull('storage_upload_id')
          .whereIn('id', db.select('id').from(db.raw('? n', [rows]))),
      );
      await db.raw(
        `update uploads set storage_upload_id = r.name from ? r
         where uploads.id = r.id and uploads.id in (?) and uploads.storage_upload_id is null and uploads.state = 'open'`,
        [rows, lock],
      );
    },

    /**
     * The compare-and-set that every change of state is. With `owner`, only that instance's lease may move it.
     * @returns false when the upload is not (or no longer) in `from`, or somebody else's
     */
    async move(
      id: UploadId,
      from: UploadState,
      to: UploadState,
      change: MoveChange = {},
      owner?: string,
    ): Promise<boolean> {
      if (!canMove(from, to)) throw new RangeError(`an upload never goes from ${from} to ${to}`);
      const query = db('uploads').where({ id, state: from });
      if (owner !== undefined) query.where({ owner });
      if ((await query.update({ state: to, ...forColumns(change) })) !== 1) return false;
      // A pack that was recorded has locations instead, and an object frames; what failed or was aborted has nothing.
      if (!isFinal(to)) return true;
      await contents.end(id);
      return true;
    },

    /** Changes an upload that stays in its state, if it is still this owner's. */
    async amend(id: UploadId, state: UploadState, owner: string, change: MoveChange): Promise<boolean> {
      return (await db('uploads').where({ id, state, owner }).update(forColumns(change))) === 1;
    },

    /** Takes a completing upload over from an instance whose lease has ended. */
    async takeOver(id: UploadId, owner: string, now: number, leaseUntil: number): Promise<boolean> {
      const query = db('uploads').where({ id, state: 'completing' }).where('lease_until', '<=', now);
      return (await query.update({ owner, lease_until: leaseUntil })) === 1;
    },

    /** Ends every lease: for a registry that only this process can use, when it starts. */
    async endLeases(now: number): Promise<void> {
      await db('uploads').where({ state: 'completing' }).where('lease_until', '>', now).update({ lease_until: now });
    },

    /**
     * Moves open uploads of a package to aborting; storage is told afterwards. @param only left out: all of them
     * @returns those that were open still
     */
    async abortOpen(packageId: PackageId | null, only?: readonly UploadId[]): Promise<UploadId[]> {
      const open = db('uploads').where({ package_id: packageId, state: 'open' });
      if (only !== undefined) open.whereIn('id', [...only]);
      const rows: Array<{ id: UploadId }> = rowsOf(
        await db.raw(`update uploads set state = 'aborting' where id in (?) and state = 'open' returning id`, [
          inOrder(open),
        ]),
      );
      return rows.map(({ id }) => id);
    },

    async setDropped(id: UploadId): Promise<void> {
      await db('uploads').where({ id }).update({ drop_key: false, drop_later: false });
    },

    async setDropLater(id: UploadId): Promise<void> {
      await db('uploads').where({ id }).update({ drop_later: true });
    },
  };
}

function forColumns({ failure, ...change }: MoveChange): Record<string, unknown> {
  return {
    ...change,
    ...(failure === undefined ? {} : { failure: failure === null ? null : JSON.stringify(failure) }),
  };
}

export type UploadTable = ReturnType<typeof uploadTable>;

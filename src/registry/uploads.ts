import type { Knex } from 'knex';
import { type Digest, digestFromBytes, digestHex, digestToBytes } from '../core/digest.ts';
import type { Encoding, StoredForm } from '../core/frame-table.ts';
import type { PackageId, UploadId } from '../core/ids.ts';
import { decodeMembers, encodeMembers, type PackMember } from '../core/pack.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import { canMove, isFinal, type UploadFailure, type UploadState } from '../core/upload-state.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { byDigest, type Cell, recordset } from './recordset.ts';

export interface UploadRecord {
  id: UploadId;
  package_id: PackageId;
  channel: 'direct' | 'service';
  kind: 'blob' | 'pack';
  digest: Digest;
  size: number;
  encoding: Encoding;
  /** Of what is sent. */
  stored_size: number;
  /** Null: what is sent is the content, and has its digest. */
  stored_digest: Digest | null;
  state: UploadState;
  key: string;
  storage_upload_id: string | null;
  owner: string | null;
  lease_until: number | null;
  completed_at: number | null;
  version_id: string | null;
  failure: UploadFailure | null;
  /** What stands under the key must be removed. */
  drop_key: boolean;
  /** And storage could not do that when it was asked. */
  drop_later: boolean;
  created_by: string;
  created_at: number;
  expires_at: number;
}

/** An upload that has not come to its end, and what storage calls it. */
export type Unended = Pick<UploadRecord, 'id' | 'key' | 'state' | 'storage_upload_id'>;

export type NewUpload = Pick<
  UploadRecord,
  'id' | 'package_id' | 'channel' | 'digest' | 'size' | 'key' | 'created_by' | 'created_at' | 'expires_at'
> & {
  parts: readonly PlannedPart[];
  /** Of a pack; null: a loose blob. */
  members: readonly PackMember[] | null;
  /** Null: it is sent as it is. */
  stored: StoredForm | null;
};

type Row = Omit<UploadRecord, 'digest' | 'stored_digest' | 'failure' | 'drop_key' | 'drop_later'> & {
  digest: Buffer;
  stored_digest: Buffer | null;
  failure: string | null;
  drop_key: boolean | number;
  drop_later: boolean | number;
};

function fromRow(row: Row): UploadRecord {
  return {
    ...row,
    digest: digestFromBytes(row.digest),
    stored_digest: row.stored_digest && digestFromBytes(row.stored_digest),
    failure: row.failure === null ? null : (JSON.parse(row.failure) as UploadFailure),
    drop_key: Boolean(row.drop_key),
    drop_later: Boolean(row.drop_later),
  };
}

/** What a move may set beside the state. */
export type MoveChange = Partial<
  Pick<UploadRecord, 'owner' | 'lease_until' | 'completed_at' | 'version_id' | 'failure' | 'drop_key'>
>;

export function uploadTable(db: Knex) {
  const postgres = isPostgres(db);

  /** Ids of uploads, their rows locked one after the other: statements that lock the same rows never deadlock. */
  function inOrder(query: Knex.QueryBuilder): Knex.QueryBuilder {
    const ordered = query.orderBy('id').select('id');
    return postgres ? ordered.forNoKeyUpdate() : ordered;
  }

  /** A table that has bytes for some uploads. */
  async function insertBytes(table: string, column: string, rows: readonly Cell[][]): Promise<void> {
    if (rows.length === 0) return;
    await db.raw(`insert into ${table} (upload_id, ${column}) select upload_id, ${column} from ? r`, [
      recordset(db, { upload_id: 'text', [column]: 'bytes' }, rows),
    ]);
  }

  return {
    async get(id: UploadId): Promise<UploadRecord | null> {
      const row: Row | undefined = await db('uploads').where({ id }).first();
      return row ? fromRow(row) : null;
    },

    async getMany(ids: readonly UploadId[]): Promise<UploadRecord[]> {
      const wanted = recordset(
        db,
        { id: 'text' },
        ids.map((id) => [id]),
      );
      const rows: Row[] = rowsOf(await db.raw('select u.* from ? r cross join uploads u where u.id = r.id', [wanted]));
      return rows.map(fromRow);
    },

    /** The open or completing direct uploads of these digests in a package. */
    async findLive(packageId: PackageId, digests: readonly Digest[]): Promise<Map<Digest, UploadRecord>> {
      const wanted = recordset(
        db,
        { digest: 'bytes' },
        digests.map((digest) => [digestHex(digest)]),
      );
      const rows: Row[] = rowsOf(
        await db.raw(
          `select u.* from ? r cross join uploads u where u.package_id = ? and u.digest = r.digest
           and u.channel = 'direct' and u.state in ('open', 'completing')`,
          [wanted, packageId],
        ),
      );
      return new Map(rows.map(fromRow).map((upload) => [upload.digest, upload]));
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

    /** The members of those uploads that are packs and have not ended. */
    async members(ids: readonly UploadId[]): Promise<Map<UploadId, PackMember[]>> {
      const wanted = recordset(
        db,
        { id: 'text' },
        ids.map((id) => [id]),
      );
      const rows: Array<{ upload_id: UploadId; members: Buffer }> = rowsOf(
        await db.raw('select m.* from ? r cross join upload_members m where m.upload_id = r.id', [wanted]),
      );
      return new Map(rows.map((row) => [row.upload_id, decodeMembers(row.members)]));
    },

    /** The encoded frame tables of those uploads that have one and have not ended. */
    async frames(ids: readonly UploadId[]): Promise<Map<UploadId, Buffer<ArrayBuffer>>> {
      const wanted = recordset(
        db,
        { id: 'text' },
        ids.map((id) => [id]),
      );
      const rows: Array<{ upload_id: UploadId; frames: Buffer<ArrayBuffer> }> = rowsOf(
        await db.raw('select f.* from ? r cross join upload_frames f where f.upload_id = r.id', [wanted]),
      );
      return new Map(rows.map((row) => [row.upload_id, row.frames]));
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

    async parts(ids: readonly UploadId[]): Promise<Map<UploadId, PlannedPart[]>> {
      const found = new Map<UploadId, PlannedPart[]>(ids.map((id) => [id, []]));
      const wanted = recordset(
        db,
        { id: 'text' },
        ids.map((id) => [id]),
      );
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
      await db('upload_members').where({ upload_id: id }).delete();
      await db('upload_frames').where({ upload_id: id }).delete();
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
    async abortOpen(packageId: PackageId, only?: readonly UploadId[]): Promise<UploadId[]> {
      const open = db('uploads').where({ package_id: packageId, state: 'open' });
      if (only !== undefined) open.whereIn('id', [...only]);
      const rows: Array<{ id: UploadId }> = rowsOf(
        await db.raw(`update uploads set state = 'aborting' where id in (?) and state = 'open' returning id`, [
          inOrder(open),
        ]),
      );
      return rows.map(({ id }) => id);
    },

    // The states below stand in the text, not in a parameter: only then a partial index can serve them.

    /** Open or aborting: every upload that storage may hold something of which is still wanted, or still to be removed. */
    async listUnended(): Promise<Unended[]> {
      const columns = ['id', 'key', 'state', 'storage_upload_id'] as const;
      const open = db('uploads').whereRaw(`state = 'open'`).select(columns);
      return open.unionAll(db('uploads').whereRaw(`state = 'aborting'`).select(columns));
    },

    async listExpired(now: number, limit: number): Promise<UploadRecord[]> {
      const query = db('uploads').whereRaw(`state = 'open'`).where('expires_at', '<=', now);
      return ((await query.orderBy('expires_at').limit(limit)) as Row[]).map(fromRow);
    },

    async listAborting(limit: number): Promise<UploadRecord[]> {
      const rows: Row[] = await db('uploads').whereRaw(`state = 'aborting'`).orderBy('expires_at').limit(limit);
      return rows.map(fromRow);
    },

    async listStalled(now: number, limit: number): Promise<UploadRecord[]> {
      const query = db('uploads').whereRaw(`state = 'completing'`).where('lease_until', '<=', now);
      return ((await query.orderBy('lease_until').limit(limit)) as Row[]).map(fromRow);
    },

    /** Whose keys are to be freed now. */
    async listDropping(limit: number): Promise<UploadRecord[]> {
      const query = db('uploads').whereRaw('drop_key = true and drop_later = false');
      return ((await query.orderBy('id').limit(limit)) as Row[]).map(fromRow);
    },

    /** Whose keys storage could not free when it was asked: something may stand there, or come to stand there. For the sweep. */
    async listDroppingLater(after: UploadId | null, limit: number): Promise<UploadRecord[]> {
      const query = db('uploads').whereRaw('drop_later = true').orderBy('id').limit(limit);
      if (after !== null) query.where('id', '>', after);
      return ((await query) as Row[]).map(fromRow);
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

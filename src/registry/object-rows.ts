import type { Knex } from 'knex';
import { digestToBytes } from '../core/digest.ts';
import type { StoredForm } from '../core/frame-table.ts';
import type { ObjectState } from '../core/object-state.ts';
import { rowsOf } from './dialect.ts';
import { objectCheckTable } from './object-checks.ts';
import { type DigestsAsBytes, HOLDS_FILES, type ObjectRecord, withDigests } from './object-record.ts';
import { isHolding } from './object-states.ts';
import { idRows } from './recordset.ts';
import { unneededObjects } from './unneeded-objects.ts';

/** Live from the beginning. */
export type NewObject = Pick<ObjectRecord, 'id' | 'kind' | 'key' | 'version_id' | 'digest' | 'size' | 'created_at'> & {
  /** Null: it is stored as it is. */
  stored: StoredForm | null;
  /** What packages want of its lock is to be looked at; left out: whoever makes it does. */
  lock_wanted?: boolean;
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

type ObjectRow = DigestsAsBytes<ObjectRecord>;

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
export const OBJECT_NO = '(select no from objects where id = ?)';

/** The rows of objects: what each is, where it stands and how many bytes it has. */
export function objectRows(db: Knex) {
  const { countCondemned } = unneededObjects(db);

  return {
    /**
     * @param readAt when its bytes were read last, ms: an object is verified when it is made
     * @param goodAt when they were right; 0: nobody knows
     */
    async addObject({ stored, ...object }: NewObject, readAt = object.created_at, goodAt = readAt): Promise<void> {
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
      await objectCheckTable(db).add(object.id, readAt, goodAt);
    },

    /** Another version stands under its key now, which was not locked. */
    async setVersion(id: string, version_id: string | null): Promise<void> {
      await db('objects').where({ id }).update({ version_id, locked_until: null, legal_hold: false });
    },

    async getObject(id: string): Promise<ObjectRecord | null> {
      const row: ObjectRow | undefined = await db('objects').where({ id }).first(OBJECT_COLUMNS);
      return row ? withDigests(row) : null;
    },

    async getObjects(ids: readonly string[]): Promise<Map<string, ObjectRecord>> {
      const wanted = idRows(db, ids);
      const rows: ObjectRow[] = rowsOf(
        await db.raw(
          `select ${OBJECT_COLUMNS.map((column) => `o.${column}`).join(', ')} from ? r cross join objects o where o.id = r.id`,
          [wanted],
        ),
      );
      return new Map(rows.map((row) => [row.id, withDigests(row)]));
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
        .whereRaw(HOLDS_FILES)
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

    async getObjectByKey(key: string): Promise<ObjectRecord | null> {
      const row: ObjectRow | undefined = await db('objects').where({ key }).first(OBJECT_COLUMNS);
      return row ? withDigests(row) : null;
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
      const condemned = await countCondemned();
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
  };
}

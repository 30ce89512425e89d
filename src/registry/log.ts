import type { Knex } from 'knex';
import { HASH_SIZE } from '../core/merkle.ts';
import { TILE_WIDTH } from '../core/tlog-tiles.ts';
import { isPostgres } from './dialect.ts';

/** How far the tree goes. */
export interface LogHead {
  /** Entries in it. */
  size: number;
  /** All audit events up to this one are in it. */
  last_seq: number;
}

export interface LogTile {
  level: number;
  n: number;
  hashes: readonly Buffer[];
  /** Of level 0: of each entry, the event's seq; 0: it is in storage only. */
  seqs: readonly number[] | null;
}

export interface LogCheckpoint {
  size: number;
  /** When it was signed; ms. */
  at: number;
  /** As it was signed. */
  note: string;
  /** ms; null: storage may not have it, so nobody was given it. */
  written_at: number | null;
  /** ms; when storage had its time stamp; null: it has none. */
  stamped_at: number | null;
}

/** Entries from `first` to before `end`. */
export interface LogGap {
  first: number;
  end: number;
}

const SEQ_SIZE = 8;
/** Of one statement. */
const BATCH = 100;

/** The tree over the audit's events, in tiles, and the checkpoints that were signed of it. Nothing of it is changed but its right edge. */
export function logTable(db: Knex) {
  const theHead = () => db('log_head').where({ no: 1 });

  return {
    async head(): Promise<LogHead> {
      return fromHead(await theHead().first());
    },

    /** The same, and nobody else extends the tree until the transaction ends. */
    async lockHead(): Promise<LogHead> {
      // SQLite's BEGIN IMMEDIATE has locked everything already.
      const query = theHead().first();
      return fromHead(await (isPostgres(db) ? query.forUpdate() : query));
    },

    async setHead({ size, last_seq }: LogHead): Promise<void> {
      await theHead().update({ size, last_seq });
    },

    /** Their hashes, as many as there are, 32 bytes each; of a tile that does not exist, none. */
    async tiles(places: ReadonlyArray<{ level: number; n: number }>): Promise<Buffer[]> {
      const found = new Map<string, Buffer>();
      for (let at = 0; at < places.length; at += BATCH) {
        const batch = places.slice(at, at + BATCH);
        const rows: Array<{ level: number; n: number; hashes: Buffer }> = await db('log_tiles')
          .where((either) => {
            for (const { level, n } of batch) either.orWhere({ level, n });
          })
          .select('level', 'n', 'hashes');
        for (const { level, n, hashes } of rows) found.set(`${level}/${n}`, Buffer.from(hashes));
      }
      return places.map(({ level, n }) => found.get(`${level}/${n}`) ?? Buffer.alloc(0));
    },

    /** Of a tile of level 0. */
    async seqsOf(n: number): Promise<number[]> {
      const row: { seqs: Buffer } | undefined = await db('log_tiles').where({ level: 0, n }).first('seqs');
      return row === undefined ? [] : toSeqs(row.seqs);
    },

    /** Which entry an event is; null: it is not in the tree. */
    async placeOf(seq: number): Promise<number | null> {
      const query = db('log_tiles').where({ level: 0 }).where('first_seq', '<=', seq).orderBy('first_seq', 'desc');
      const row: { n: number; seqs: Buffer } | undefined = await query.first('n', 'seqs');
      const rank = row === undefined ? -1 : toSeqs(row.seqs).indexOf(seq);
      return row === undefined || rank === -1 ? null : Number(row.n) * TILE_WIDTH + rank;
    },

    /** What stands in the place of a tile is a beginning of it. */
    async putTiles(tiles: readonly LogTile[]): Promise<void> {
      for (let at = 0; at < tiles.length; at += BATCH) {
        const rows = tiles.slice(at, at + BATCH).map(({ level, n, hashes, seqs }) => ({
          level,
          n,
          hashes: Buffer.concat(hashes, hashes.length * HASH_SIZE),
          seqs: seqs === null ? null : fromSeqs(seqs),
          first_seq: seqs?.find((seq) => seq > 0) ?? null,
        }));
        await db('log_tiles').insert(rows).onConflict(['level', 'n']).merge(['hashes', 'seqs', 'first_seq']);
      }
    },

    newest: (): Promise<LogCheckpoint | null> => firstOf(checkpoints()),

    newestWritten: (): Promise<LogCheckpoint | null> => firstOf(checkpoints().whereNotNull('written_at')),

    newestStamped: (): Promise<LogCheckpoint | null> => firstOf(checkpoints().whereNotNull('stamped_at')),

    checkpoint: (size: number): Promise<LogCheckpoint | null> => firstOf(checkpoints().where({ size })),

    /** The first one of a size stays. */
    async addCheckpoint(checkpoint: Omit<LogCheckpoint, 'stamped_at'>): Promise<void> {
      await db('log_checkpoints').insert(checkpoint).onConflict('size').ignore();
    },

    async setWritten(size: number, now: number): Promise<void> {
      await db('log_checkpoints').where({ size, written_at: null }).update({ written_at: now });
    },

    async setStamped(size: number, now: number): Promise<void> {
      await db('log_checkpoints').where({ size, stamped_at: null }).update({ stamped_at: now });
    },

    /** Entries that are in storage only: of before a registry was rebuilt, or restored from a backup. */
    async gaps(): Promise<LogGap[]> {
      const rows: LogGap[] = await db('log_gaps').orderBy('first').select('first', 'end');
      return rows.map(({ first, end }) => ({ first: Number(first), end: Number(end) }));
    },

    async addGap(gap: LogGap): Promise<void> {
      await db('log_gaps').insert(gap);
    },
  };

  function checkpoints(): Knex.QueryBuilder {
    return db('log_checkpoints').orderBy('size', 'desc');
  }
}

async function firstOf(query: Knex.QueryBuilder): Promise<LogCheckpoint | null> {
  const row: LogCheckpoint | undefined = await query.first();
  if (row === undefined) return null;
  const { size, at, note, written_at, stamped_at } = row;
  const orNull = (time: number | null) => (time === null ? null : Number(time));
  return { size: Number(size), at: Number(at), note, written_at: orNull(written_at), stamped_at: orNull(stamped_at) };
}

function fromHead({ size, last_seq }: LogHead): LogHead {
  return { size: Number(size), last_seq: Number(last_seq) };
}

function fromSeqs(seqs: readonly number[]): Buffer {
  const bytes = Buffer.alloc(seqs.length * SEQ_SIZE);
  for (const [nth, seq] of seqs.entries()) bytes.writeBigUInt64BE(BigInt(seq), nth * SEQ_SIZE);
  return bytes;
}

function toSeqs(bytes: Uint8Array): number[] {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: all.length / SEQ_SIZE }, (_, nth) => Number(all.readBigUInt64BE(nth * SEQ_SIZE)));
}

export type LogTable = ReturnType<typeof logTable>;

import { detailKey, type ObjectKey, tileKey } from '../blobs/key-layout.ts';
import { longDetail } from '../core/audit-entry.ts';
import { StoreError } from '../core/errors.ts';
import { HASH_SIZE, leafHash } from '../core/merkle.ts';
import { bundleBytes, newTiles, parseBundle, splitHashes, TILE_WIDTH, type Tile } from '../core/tlog-tiles.ts';
import type { AuditRecord } from '../registry/audit.ts';
import { entryOf, loggedEvent } from './log-entry.ts';
import { mapLimit } from './map-limit.ts';
import { onePiece } from './one-piece.ts';
import type { Services, WithObjects } from './services.ts';
import { readStoredTile } from './stored-tiles.ts';

/** Tiles that are written at once. */
const CONCURRENCY = 8;

type Needed = Pick<Services<WithObjects>, 'registry' | 'blobs'>;
type HashTile = Tile & { level: number };

/**
 * Writes to storage what a log of `size` entries has and one of `before` had not: entries first. Any number of times, by any number of
 * services: a key only ever gets the same bytes. @throws StoreError integrity_failure: an event is not what was logged, or another
 * log is in storage @param signal ends it between two tiles
 */
export async function writeTiles(
  { registry, blobs }: Needed,
  before: number,
  size: number,
  signal?: AbortSignal,
): Promise<void> {
  const tiles = newTiles(before, size);
  const bottom = tiles.filter(({ level }) => level === 0);
  await mapLimit(bottom, CONCURRENCY, async (tile) => {
    signal?.throwIfAborted();
    const entries = await entriesOf({ registry, blobs }, tile, before);
    await blobs.objects.write(tileKey({ ...tile, level: 'entries' }), onePiece(bundleBytes(entries)));
  });
  await mapLimit(tiles, CONCURRENCY, async (tile) => {
    signal?.throwIfAborted();
    const [hashes] = await registry.read.log.tiles([tile]);
    await blobs.objects.write(tileKey(tile), onePiece((hashes as Buffer).subarray(0, tile.width * HASH_SIZE)));
  });
}

/** The leaves of a tile. Of those that storage has, an older bundle says what they are. */
async function entriesOf({ registry, blobs }: Needed, tile: HashTile, before: number): Promise<Buffer[]> {
  const { n, width } = tile;
  const [bytes] = await registry.read.log.tiles([tile]);
  const hashes = splitHashes(bytes as Buffer).slice(0, width);
  const seqs = await registry.read.log.seqsOf(n);
  const stored = await storedEntries(blobs, n, Math.min(TILE_WIDTH, before - n * TILE_WIDTH));
  const isRight = (entry: Buffer | undefined, rank: number): boolean =>
    entry !== undefined && leafHash(entry).equals(hashes[rank] as Buffer);
  const wanted = seqs.slice(0, width).filter((seq, rank) => seq > 0 && !isRight(stored[rank], rank));
  const events = new Map((await registry.read.audit.at(wanted)).map((event) => [event.seq, event]));
  await writeDetails(blobs, [...events.values()]);
  return hashes.map((_, rank) => {
    if (isRight(stored[rank], rank)) return stored[rank] as Buffer;
    const event = events.get(seqs[rank] as number);
    const entry = event && entryOf(event);
    if (isRight(entry, rank)) return entry as Buffer;
    const index = n * TILE_WIDTH + rank;
    throw new StoreError(
      'integrity_failure',
      `The audit event that is entry ${index} of the log${event ? ` (${event.id})` : ''} was changed or removed after it was logged, and before storage had it: the log cannot go on. Restore the registry from a backup.`,
      { index, ...(event ? { event: event.id } : {}) },
    );
  });
}

async function storedEntries(blobs: WithObjects, n: number, width: number): Promise<Buffer[]> {
  if (width <= 0) return [];
  const bundle = await readStoredTile(blobs, { level: 'entries', n, width });
  return (bundle && parseBundle(bundle)) ?? [];
}

/** Of events that are too long for an entry. */
async function writeDetails({ objects }: WithObjects, events: readonly AuditRecord[]): Promise<void> {
  for (const event of events) {
    const long = longDetail(loggedEvent(event));
    if (long !== null) await objects.write(detailKey(long.sha256), onePiece(long.bytes));
  }
}

/** Partial tiles of a log of `before` entries, and of shorter ones, in whose place one of `size` entries has a full tile. */
export async function removePartialTiles({ objects }: WithObjects, before: number, size: number): Promise<void> {
  const full = newTiles(before, size).filter(({ width }) => width === TILE_WIDTH);
  const first = full.filter(({ level, n }) => n === Math.floor(before / TILE_WIDTH ** (level + 1)));
  for (const tile of first.flatMap((each): Tile[] =>
    each.level === 0 ? [{ ...each, level: 'entries' }, each] : [each],
  )) {
    const keys: ObjectKey[] = [];
    for await (const { key } of objects.list(`${tileKey(tile)}.p/`)) keys.push(key);
    await objects.removeMany(keys.map((key) => ({ key, versionId: null })));
  }
}

import { tileKey } from '../blobs/key-layout.ts';
import { isStoreError } from '../core/errors.ts';
import { HASH_SIZE } from '../core/merkle.ts';
import { bundleBytes, ENTRY_MAX_BYTES, parseBundle, TILE_WIDTH, type Tile } from '../core/tlog-tiles.ts';
import { readSmall } from './read-small.ts';
import type { WithReader } from './services.ts';

const HASHES_MAX_BYTES = TILE_WIDTH * HASH_SIZE;
const BUNDLE_MAX_BYTES = TILE_WIDTH * (2 + ENTRY_MAX_BYTES);

/**
 * A tile of the log as storage has it. Partial ones are removed once there is a longer one: then it is the beginning of that.
 * @returns null: storage has none @throws StoreError unavailable
 */
export async function readStoredTile(blobs: WithReader, tile: Tile): Promise<Buffer | null> {
  const exact = await readTile(blobs, tile);
  if (exact !== null || tile.width === TILE_WIDTH) return exact;
  const full = await readTile(blobs, { ...tile, width: TILE_WIDTH });
  if (full === null) return null;
  if (tile.level !== 'entries') return full.subarray(0, tile.width * HASH_SIZE);
  const entries = parseBundle(full);
  return entries === null ? null : bundleBytes(entries.slice(0, tile.width));
}

async function readTile(blobs: WithReader, tile: Tile): Promise<Buffer | null> {
  try {
    return await readSmall(
      blobs.objects,
      tileKey(tile),
      tile.level === 'entries' ? BUNDLE_MAX_BYTES : HASHES_MAX_BYTES,
    );
  } catch (error) {
    if (isStoreError(error, 'object_not_found')) return null;
    throw error;
  }
}

import { HASH_SIZE, type HashReader, rootOf, type TreeNode } from './merkle.ts';

/*
 * A tree in tiles (c2sp.org/tlog-tiles): a tile of level L has 256 hashes, each of a whole subtree of 256^L leaves. Level 0 are the
 * hashes of the leaves. A tile that is full never changes; a partial one has the first `width` hashes of it.
 */

export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;
/** What an entry of a bundle may have, bytes: its length is written in two. */
export const ENTRY_MAX_BYTES = 65_535;

export interface Tile {
  /** `entries`: no hashes, but the leaves of the tile of level 0. */
  level: number | 'entries';
  n: number;
  /** Hashes or entries in it: 1 to 256. */
  width: number;
}

/** `tile/0/x001/x234/067`, `tile/entries/012.p/5`; below the address of the log. */
export function tilePath({ level, n, width }: Tile): string {
  const digits = String(n).padStart(3, '0');
  const groups: string[] = [];
  for (let end = digits.length; end > 0; end -= 3)
    groups.unshift(digits.slice(Math.max(0, end - 3), end).padStart(3, '0'));
  const last = groups.pop();
  const folders = groups.map((group) => `x${group}/`).join('');
  return `tile/${level}/${folders}${last}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

const PATH = /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/){0,4}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/** @returns null for what is no tile's path, or not the one that `tilePath` gives it */
export function parseTilePath(path: string): Tile | null {
  const [, level, place, width] = PATH.exec(path) ?? [];
  if (level === undefined || place === undefined) return null;
  const tile: Tile = {
    level: level === 'entries' ? level : Number(level),
    n: Number(place.replaceAll(/[x/]/g, '')),
    width: width === undefined ? TILE_WIDTH : Number(width),
  };
  return tile.width <= TILE_WIDTH && tilePath(tile) === path ? tile : null;
}

/** The tiles of hashes of a tree of `size` leaves that one of `before` leaves does not have, level by level. */
export function newTiles(before: number, size: number): Array<Tile & { level: number }> {
  const tiles: Array<Tile & { level: number }> = [];
  for (let [level, had, has] = [0, before, size]; has > 0; level += 1) {
    if (has > had) {
      for (let n = Math.floor(had / TILE_WIDTH); n * TILE_WIDTH < has; n += 1) {
        tiles.push({ level, n, width: Math.min(TILE_WIDTH, has - n * TILE_WIDTH) });
      }
    }
    [had, has] = [Math.floor(had / TILE_WIDTH), Math.floor(has / TILE_WIDTH)];
  }
  return tiles;
}

/** Which tile a whole subtree is in, and which of its hashes it is made of. */
function placeOf({ level, index }: TreeNode): { level: number; n: number; from: number; count: number } {
  const count = 2 ** (level % TILE_HEIGHT);
  const first = index * count;
  const n = Math.floor(first / TILE_WIDTH);
  return { level: Math.floor(level / TILE_HEIGHT), n, from: first - n * TILE_WIDTH, count };
}

/** Hashes of subtrees out of tiles. @param readTiles gives their hashes, 32 bytes each, as many as there are */
export function hashReader(
  readTiles: (places: ReadonlyArray<{ level: number; n: number }>) => Promise<Buffer[]>,
): HashReader {
  return async (nodes) => {
    const places = nodes.map(placeOf);
    const wanted = new Map(places.map((place) => [`${place.level}/${place.n}`, place]));
    const read = await readTiles([...wanted.values()]);
    const tiles = new Map([...wanted.keys()].map((name, nth) => [name, read[nth] as Buffer]));
    return places.map(({ level, n, from, count }) => {
      const hashes = splitHashes(tiles.get(`${level}/${n}`) as Buffer).slice(from, from + count);
      if (hashes.length < count) throw new RangeError(`tile ${n} of level ${level} has no hash ${from + count - 1}`);
      return rootOf(hashes);
    });
  };
}

export function splitHashes(bytes: Uint8Array): Buffer[] {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: Math.floor(all.length / HASH_SIZE) }, (_, nth) =>
    all.subarray(nth * HASH_SIZE, (nth + 1) * HASH_SIZE),
  );
}

export interface GrownTile {
  level: number;
  n: number;
  hashes: Buffer[];
}

/**
 * Adds leaves to a tree of `size` leaves. @param edge the partial tiles of that tree, the one of level L at L
 * @returns the tiles that are new or have become longer, whole, from level 0 up
 */
export function growTiles(size: number, edge: readonly (readonly Buffer[])[], leaves: readonly Buffer[]): GrownTile[] {
  const grown: GrownTile[] = [];
  let added = [...leaves];
  for (let [level, had] = [0, size]; added.length > 0; level += 1) {
    let n = Math.floor(had / TILE_WIDTH);
    const row = [...(edge[level] ?? []), ...added];
    added = [];
    for (let at = 0; at < row.length; at += TILE_WIDTH, n += 1) {
      const hashes = row.slice(at, at + TILE_WIDTH);
      grown.push({ level, n, hashes });
      if (hashes.length === TILE_WIDTH) added.push(rootOf(hashes));
    }
    had = Math.floor(had / TILE_WIDTH);
  }
  return grown;
}

/** @throws RangeError for an entry that is too long */
export function bundleBytes(entries: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    entries.flatMap((entry) => {
      if (entry.length > ENTRY_MAX_BYTES) throw new RangeError(`an entry has ${entry.length} bytes`);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(entry.length);
      return [length, entry];
    }),
  );
}

/** @returns null for what is no bundle */
export function parseBundle(bytes: Uint8Array): Buffer[] | null {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const entries: Buffer[] = [];
  for (let at = 0; at < all.length; ) {
    const end = at + 2 <= all.length ? at + 2 + all.readUInt16BE(at) : Number.POSITIVE_INFINITY;
    if (end > all.length) return null;
    entries.push(all.subarray(at + 2, end));
    at = end;
  }
  return entries;
}

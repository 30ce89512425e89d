import { auditEntry, eventOfEntry } from '../../../src/core/audit-entry.ts';
import { leafHash, rootOf } from '../../../src/core/merkle.ts';
import { parseBundle, splitHashes, TILE_WIDTH, type Tile } from '../../../src/core/tlog-tiles.ts';
import { ApiError } from '../../errors.ts';
import type { ApiClient } from '../api/api-client.ts';
import { pagesOf } from '../api/pages.ts';
import { type Break, type Found, firstBreak } from './first-break.ts';
import type { Evidence } from './read-evidence.ts';

export interface LogVerification {
  origin: string;
  /** Entries that were compared. */
  size: number;
  /** Of these, those whose events the registry does not have. */
  in_storage_only: number;
  /** Null: none. */
  break: Break | null;
}

const PAGE = 1_000;

/**
 * Whether the audit is what was logged: takes every leaf out of the log's tiles and every event out of the audit, and holds both
 * against checkpoints. @param newest the service's own @param kept those that somebody else kept @param tell entries so far
 */
export async function verifyLog(
  client: ApiClient,
  newest: Evidence,
  kept: readonly Evidence[],
  tell: (entries: number) => void,
): Promise<LogVerification> {
  const { origin, size } = newest.checkpoint;
  const gaps = (await client.log.state()).gaps.map(({ first, end }) => ({ first, end: Math.min(end, size) }));
  const in_storage_only = gaps.reduce((sum, { first, end }) => sum + Math.max(0, end - first), 0);
  const leaves = await readLeaves(client, size);
  const bundles = bundleReader(client, size);
  const events = readEvents(client, tell);
  const audit: Array<Found | undefined> = [];
  for (let index = 0; index < size; index += 1) {
    const isGap = gaps.some(({ first, end }) => index >= first && index < end);
    audit.push(isGap ? await bundles(index) : ((await events.next()).value ?? undefined));
  }
  const right = (hashes: ReadonlyArray<Buffer | undefined>): Evidence | null =>
    [...kept, newest].find(({ checkpoint }) => !hasRoot(hashes, checkpoint)) ?? null;
  const broken = await firstBreak({
    checkpoints: { origin, size, kept },
    leaves,
    audit,
    againstLeaves: right(leaves),
    againstAudit: right(audit.map((found) => found?.hash)),
    logged: bundles,
  });
  return { origin, size, in_storage_only, break: broken };
}

function hasRoot(hashes: ReadonlyArray<Buffer | undefined>, { size, root }: { size: number; root: Buffer }): boolean {
  const first = hashes.slice(0, size).filter((hash) => hash !== undefined);
  return first.length === size && rootOf(first).equals(root);
}

/** Hashes of leaves; undefined: the log does not have it. */
async function readLeaves(client: ApiClient, size: number): Promise<Array<Buffer | undefined>> {
  const leaves: Array<Buffer | undefined> = [];
  for (let n = 0; n * TILE_WIDTH < size; n += 1) {
    const width = Math.min(TILE_WIDTH, size - n * TILE_WIDTH);
    const hashes = splitHashes((await readTile(client, { level: 0, n, width })) ?? Buffer.alloc(0));
    for (let rank = 0; rank < width; rank += 1) leaves.push(hashes[rank]);
  }
  return leaves;
}

/** Entries as storage has them; undefined: it has none. The last bundle is kept. */
function bundleReader(client: ApiClient, size: number): (index: number) => Promise<Found | undefined> {
  let [last, entries]: [number, Buffer[]] = [-1, []];
  return async (index) => {
    const n = Math.floor(index / TILE_WIDTH);
    if (n !== last) {
      const width = Math.min(TILE_WIDTH, size - n * TILE_WIDTH);
      const bytes = await readTile(client, { level: 'entries', n, width });
      [last, entries] = [n, (bytes && parseBundle(bytes)) ?? []];
    }
    const entry = entries[index % TILE_WIDTH];
    return entry && { id: eventOfEntry(entry) ?? 'no event', hash: leafHash(entry) };
  };
}

async function readTile(client: ApiClient, tile: Tile): Promise<Buffer | null> {
  try {
    return await client.log.tile(tile);
  } catch (error) {
    if (error instanceof ApiError && error.code === 'object_not_found') return null;
    throw error;
  }
}

/** The registry's events, the oldest first. */
async function* readEvents(client: ApiClient, tell: (entries: number) => void): AsyncGenerator<Found, null> {
  let count = 0;
  for await (const { items } of pagesOf(client.url, (cursor) => client.log.events({ limit: PAGE, cursor }))) {
    for (const event of items) yield { id: event.id, hash: leafHash(auditEntry(event)) };
    count += items.length;
    tell(count);
  }
  return null;
}

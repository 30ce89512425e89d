import { leafHash, treeRoot } from '../core/merkle.ts';
import { growTiles, hashReader, splitHashes, TILE_WIDTH } from '../core/tlog-tiles.ts';
import type { LogHead, LogTable } from '../registry/log.ts';
import type { Registry, Tables } from '../registry/registry.ts';
import { entryOf } from './log-entry.ts';

/** Events of one transaction: some ten milliseconds in which nobody else writes to SQLite. */
const BATCH = 1_000;

/** What is added to the tree: the hash of a leaf, and the seq of its event; 0: the registry does not have it. */
export interface NewLeaf {
  leaf: Buffer;
  seq: number;
}

/**
 * Brings every audit event that can be seen into the tree, in the order of their seqs. It reads outside of transactions, and those that
 * add events do not wait for it: what it reads is complete up to its last (registry/audit.ts). Of several services that do so at once
 * one extends the tree, and the others look again. @param signal ends it between two batches
 */
export async function integrateEvents(registry: Registry, signal?: AbortSignal): Promise<void> {
  for (;;) {
    signal?.throwIfAborted();
    const head = await registry.read.log.head();
    const { events, more } = await registry.read.audit.page({}, { all: true }, head.last_seq, BATCH);
    if (events.length === 0) return;
    const leaves = events.map((event) => ({ leaf: leafHash(entryOf(event)), seq: event.seq }));
    const extended = await registry.transaction((tables) => extendLog(tables, head, leaves));
    if (extended && !more) return;
  }
}

/** @returns false, and nothing is changed: the tree is not as it was @param head as it was */
export async function extendLog({ log }: Tables, head: LogHead, leaves: readonly NewLeaf[]): Promise<boolean> {
  const now = await log.lockHead();
  if (now.size !== head.size || now.last_seq !== head.last_seq) return false;
  const edge = await edgeOf(log, head.size);
  const hashes = leaves.map(({ leaf }) => leaf);
  const grown = growTiles(head.size, edge, hashes);
  const firstTile = Math.floor(head.size / TILE_WIDTH);
  const before = head.size % TILE_WIDTH === 0 ? [] : await log.seqsOf(firstTile);
  const seqs = [...before, ...leaves.map(({ seq }) => seq)];
  await log.putTiles(
    grown.map(({ level, n, hashes }) => {
      const at = (n - firstTile) * TILE_WIDTH;
      return { level, n, hashes, seqs: level === 0 ? seqs.slice(at, at + TILE_WIDTH) : null };
    }),
  );
  const last_seq = leaves.reduce((last, { seq }) => Math.max(last, seq), head.last_seq);
  await log.setHead({ size: head.size + leaves.length, last_seq });
  return true;
}

/** The partial tiles of a tree of so many entries, by level. */
async function edgeOf(log: Pick<LogTable, 'tiles'>, size: number): Promise<Buffer[][]> {
  const counts: number[] = [];
  for (let count = size; count > 0; count = Math.floor(count / TILE_WIDTH)) counts.push(count);
  const tiles = await log.tiles(counts.map((count, level) => ({ level, n: Math.floor(count / TILE_WIDTH) })));
  return tiles.map((hashes, level) => splitHashes(hashes).slice(0, (counts[level] as number) % TILE_WIDTH));
}

/** The root of the tree when it had so many entries. */
export function rootAt(log: Pick<LogTable, 'tiles'>, size: number): Promise<Buffer> {
  return treeRoot(
    size,
    hashReader((places) => log.tiles(places)),
  );
}

import { CHECKPOINTS_PREFIX, type ObjectKey } from '../blobs/key-layout.ts';
import { type Checkpoint, parseCheckpointText } from '../core/checkpoint.ts';
import { StoreError } from '../core/errors.ts';
import { leafHash } from '../core/merkle.ts';
import { NoteError, openNote } from '../core/signed-note.ts';
import { splitHashes, TILE_WIDTH } from '../core/tlog-tiles.ts';
import type { LogHead } from '../registry/log.ts';
import type { Registry } from '../registry/registry.ts';
import { extendLog, type NewLeaf, rootAt } from './extend-log.ts';
import { entryOf } from './log-entry.ts';
import type { Services, WithReader } from './services.ts';
import { knownKeys } from './signing-keys.ts';
import { storedCheckpoint } from './stored-checkpoint.ts';
import { takeKeys } from './stored-keys.ts';
import { readStoredTile } from './stored-tiles.ts';

const PAGE = 1_000;
const SIZE = /^\d{16}$/;

type Needed = Pick<Services<WithReader>, 'registry' | 'blobs' | 'log'>;

/**
 * A registry that was rebuilt from its store, or restored from a backup, knows less of the log than storage: the log goes on from
 * the newest checkpoint there. Entries whose events the registry does not have stay in storage alone. Nobody may extend the tree
 * before. @throws StoreError integrity_failure: what storage has is not a continuation of what the registry has
 */
export async function adoptLog({ registry, blobs, log }: Needed, origin: string): Promise<void> {
  for (;;) {
    const size = await newestStored(blobs);
    const known = await registry.read.log.newest();
    if (size === null || (known !== null && known.size >= size)) return;
    // A key is in storage before it signs.
    await takeKeys({ registry, objects: blobs.objects });
    const note = (await storedCheckpoint(blobs, size)) ?? '';
    const checkpoint = await openCheckpoint(registry, origin, note);
    if (checkpoint.origin !== origin) throw forked(`its newest checkpoint is of ${checkpoint.origin}`);
    if (checkpoint.size !== size) throw forked(`its newest checkpoint is of ${checkpoint.size} entries, not ${size}`);
    const head = await registry.read.log.head();
    const hashes = await storedLeaves(blobs, head.size, size);
    const seqs = await seqsOf(registry, head, hashes);
    const leaves = hashes.map((leaf, nth) => ({ leaf, seq: seqs[nth] ?? 0 }));
    if (!(await adopt(registry, head, leaves, { checkpoint, note }))) continue;
    const lost = leaves.length - seqs.length;
    log.warn({ size, lost }, 'storage knew more of the audit log than the registry: the log goes on from there');
    return;
  }
}

/** All or nothing. @returns false: another service was at it */
function adopt(
  registry: Registry,
  head: LogHead,
  leaves: readonly NewLeaf[],
  { checkpoint: { size, root }, note }: { checkpoint: Checkpoint; note: string },
): Promise<boolean> {
  return registry.transaction(async (tables) => {
    if (!(await extendLog(tables, head, leaves))) return false;
    if (!(await rootAt(tables.log, size)).equals(root)) {
      throw forked(`its entries up to ${size} are others than the registry's`);
    }
    const known = leaves.filter(({ seq }) => seq > 0).length;
    const gap = { first: head.size + known, end: head.size + leaves.length };
    if (gap.first < gap.end) await tables.log.addGap(gap);
    const now = await tables.now();
    await tables.log.addCheckpoint({ size, at: now, note, written_at: now });
    return true;
  });
}

function forked(why: string): StoreError {
  return new StoreError(
    'integrity_failure',
    `The audit log in storage does not continue that of the registry: ${why}. Nothing was changed. Restore the registry that wrote it from a backup.`,
  );
}

async function newestStored({ objects }: WithReader): Promise<number | null> {
  let last: ObjectKey | null = null;
  for await (const { key } of objects.list(CHECKPOINTS_PREFIX)) if (SIZE.test(sizeOf(key))) last = key;
  return last === null ? null : Number(sizeOf(last));
}

function sizeOf(key: ObjectKey): string {
  return key.slice(CHECKPOINTS_PREFIX.length);
}

/** Signed by a key that the store has: it is whole, and no other program's. Whoever writes to the store can add keys. */
async function openCheckpoint(registry: Registry, origin: string, note: string): Promise<Checkpoint> {
  const known = (await knownKeys({ registry })).map((key) => ({ name: origin, key }));
  try {
    return parseCheckpointText(openNote(note, known).text);
  } catch (error) {
    throw error instanceof NoteError ? forked(`its newest checkpoint ${error.message}`) : error;
  }
}

/** Hashes of the leaves from `from` on. */
async function storedLeaves(blobs: WithReader, from: number, size: number): Promise<Buffer[]> {
  const leaves: Buffer[] = [];
  for (let n = Math.floor(from / TILE_WIDTH); from < size && n * TILE_WIDTH < size; n += 1) {
    const width = Math.min(TILE_WIDTH, size - n * TILE_WIDTH);
    const hashes = await readStoredTile(blobs, { level: 0, n, width });
    if (hashes === null) throw forked(`its tile ${n} is not there`);
    leaves.push(...splitHashes(hashes).slice(Math.max(0, from - n * TILE_WIDTH)));
  }
  return leaves;
}

/** Of the leaves that come first and are events of the registry: a backup may have some that are not in the tree yet. */
async function seqsOf({ read }: Registry, head: LogHead, leaves: readonly Buffer[]): Promise<number[]> {
  const seqs: number[] = [];
  for (let after = head.last_seq; seqs.length < leaves.length; ) {
    const { events } = await read.audit.page({}, { all: true }, after, PAGE);
    for (const event of events) {
      const leaf = leaves[seqs.length];
      if (leaf === undefined || !leafHash(entryOf(event)).equals(leaf)) return seqs;
      seqs.push(event.seq);
    }
    const last = events.at(-1);
    if (last === undefined) break;
    after = last.seq;
  }
  return seqs;
}

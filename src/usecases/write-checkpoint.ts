import { checkpointKey } from '../blobs/key-layout.ts';
import { checkpointText } from '../core/checkpoint.ts';
import { signNote } from '../core/signed-note.ts';
import type { SigningKey } from '../core/signing-key.ts';
import type { LogCheckpoint } from '../registry/log.ts';
import { rootAt } from './extend-log.ts';
import { onePiece } from './one-piece.ts';
import type { Services, WithObjects } from './services.ts';
import { removePartialTiles, writeTiles } from './write-tiles.ts';

type Needed = Pick<Services<WithObjects>, 'registry' | 'blobs'>;

/**
 * A signed checkpoint of all that is in the tree. In this order, so that a crash in between is harmless: storage has the tiles; the
 * registry decides what is signed of that size; storage has the checkpoint; only then it is given to anybody. So whatever anybody
 * was given is in storage, and a registry that is lost goes on from there (adopt-log.ts).
 */
export async function writeCheckpoint(
  { registry, blobs }: Needed,
  origin: string,
  key: () => Promise<SigningKey>,
  signal?: AbortSignal,
): Promise<LogCheckpoint> {
  const { log } = registry.read;
  // In this order: another service may be extending the log, which then is at least as long as what was written.
  const before = (await log.newestWritten())?.size ?? 0;
  const { size } = await log.head();
  let checkpoint = await log.checkpoint(size);
  if (checkpoint === null) {
    await writeTiles({ registry, blobs }, before, size, signal);
    const text = checkpointText({ origin, size, root: await rootAt(log, size) });
    const note = signNote(text, origin, await key());
    checkpoint = await registry.transaction(async (tables) => {
      await tables.log.addCheckpoint({ size, at: await tables.now(), note, written_at: null });
      return (await tables.log.checkpoint(size)) as LogCheckpoint;
    });
  }
  if (checkpoint.written_at !== null) return checkpoint;
  await blobs.objects.write(checkpointKey(size), onePiece(Buffer.from(checkpoint.note)));
  await registry.transaction(async (tables) => tables.log.setWritten(size, await tables.now()));
  await removePartialTiles(blobs, before, size);
  return checkpoint;
}

import { checkpointKey, type ObjectKey, timeStampKey } from '../blobs/key-layout.ts';
import { isStoreError } from '../core/errors.ts';
import { readTimeStamp, TIME_STAMP_MAX, TimeStampError } from '../core/time-stamp.ts';
import { readSmall } from './read-small.ts';
import type { WithReader } from './services.ts';

const NOTE_MAX_BYTES = 64 * 1024;

/** The signed note of the log of `size` entries, as storage has it: not checked. Null: storage has none. @throws StoreError unavailable */
export async function storedCheckpoint(blobs: WithReader, size: number): Promise<string | null> {
  return (await readOrNull(blobs, checkpointKey(size), NOTE_MAX_BYTES))?.toString() ?? null;
}

/** What an authority has answered for the checkpoint (RFC 3161). Null: storage has none of this note. @throws StoreError unavailable */
export async function storedTimeStamp(
  blobs: WithReader,
  { size, note }: { size: number; note: string },
): Promise<Buffer | null> {
  const stamp = await readOrNull(blobs, timeStampKey(size), TIME_STAMP_MAX);
  if (stamp === null) return null;
  try {
    readTimeStamp(stamp, Buffer.from(note), null);
    return stamp;
  } catch (error) {
    if (error instanceof TimeStampError) return null;
    throw error;
  }
}

async function readOrNull({ objects }: WithReader, key: ObjectKey, max: number): Promise<Buffer | null> {
  try {
    return await readSmall(objects, key, max);
  } catch (error) {
    if (isStoreError(error, 'object_not_found')) return null;
    throw error;
  }
}

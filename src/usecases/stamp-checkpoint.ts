import { randomBytes } from 'node:crypto';
import { timeStampKey } from '../blobs/key-layout.ts';
import { isStoreError } from '../core/errors.ts';
import { readTimeStamp, TimeStampError, timeStampRequest } from '../core/time-stamp.ts';
import { onePiece } from './one-piece.ts';
import type { Services, WithObjects } from './services.ts';
import { storedTimeStamp } from './stored-checkpoint.ts';

/** Asks an authority: the DER of a TimeStampReq; answers that of a TimeStampResp. */
export type TimeStampAuthority = (request: Buffer, signal: AbortSignal) => Promise<Buffer>;

type Needed = Pick<Services<WithObjects>, 'registry' | 'blobs'>;

/**
 * A time stamp of the newest checkpoint: all entries before it are older than that, so the checkpoints in between need none.
 * Storage has the stamp before the registry says so. Several services may do it at once: any of their stamps is good.
 * @param interval the least time between two stamps, over all services; ms
 * @throws Error when the authority gives none: the next call asks again
 */
export async function stampCheckpoint(
  { registry, blobs }: Needed,
  authority: TimeStampAuthority,
  interval: number,
  signal: AbortSignal,
): Promise<void> {
  const { log } = registry.read;
  const newest = await log.newestWritten();
  if (newest === null || newest.stamped_at !== null) return;
  const last = (await log.newestStamped())?.stamped_at ?? Number.NEGATIVE_INFINITY;
  if ((await registry.read.now()) - last < interval) return;
  // Of a service that was killed, or of before the registry was lost: an older stamp says more than a new one.
  if ((await storedTimeStamp(blobs, newest)) === null) {
    const note = Buffer.from(newest.note);
    const nonce = randomBytes(8);
    const response = await authority(timeStampRequest(note, nonce), signal);
    orRefused(() => readTimeStamp(response, note, nonce));
    await write(blobs, newest, response);
  }
  await registry.transaction(async (tables) => tables.log.setStamped(newest.size, await tables.now()));
}

/** Whoever comes first stays. What stands there and is no stamp of this checkpoint is worth nothing. */
async function write(blobs: WithObjects, checkpoint: { size: number; note: string }, stamp: Buffer): Promise<void> {
  const key = timeStampKey(checkpoint.size);
  try {
    await blobs.objects.write(key, onePiece(stamp));
  } catch (error) {
    if (!isStoreError(error, 'integrity_failure')) throw error;
    if ((await storedTimeStamp(blobs, checkpoint)) !== null) return;
    await blobs.objects.remove({ key, versionId: null });
    await blobs.objects.write(key, onePiece(stamp));
  }
}

function orRefused(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof TimeStampError)) throw error;
    throw new Error(`The answer of the time stamp authority ${error.message}.`, { cause: error });
  }
}

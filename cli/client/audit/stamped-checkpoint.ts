import { readTimeStamp, TimeStampError } from '../../../src/core/time-stamp.ts';
import { CliError, EXIT } from '../../errors.ts';
import type { ApiClient } from '../api/api-client.ts';
import { type Evidence, signedCheckpoint } from './read-evidence.ts';
import type { Signers } from './signers.ts';

/** A checkpoint, and what a time stamp authority has answered for it (RFC 3161). */
export interface StampedCheckpoint extends Evidence {
  stamp: Buffer;
  /** When the authority says that the checkpoint was there; ms. Its signature is not checked here. */
  stampedAt: number;
}

/**
 * The newest that an authority has stamped.
 * @throws CliError timestamp_not_found; integrity_failure: none of these keys has signed it, or it is the stamp of something else
 */
export async function stampedCheckpoint(client: ApiClient, signers: Signers): Promise<StampedCheckpoint> {
  const { time_stamp } = await client.log.state();
  if (time_stamp === null) {
    throw new CliError('No checkpoint has a time stamp.', {
      exit: EXIT.notFound,
      code: 'timestamp_not_found',
      next: 'The service asks an authority once ARTIFACT_STORE_TIMESTAMP_URL names one: some minutes later there is a stamp. If there is none, its log says why (time_stamps failed).',
    });
  }
  const from = 'the service';
  const note = await client.log.checkpoint(time_stamp.size);
  const checkpoint = signedCheckpoint(from, note, await signers());
  const stamp = await client.log.timeStamp(time_stamp.size);
  return { from, note, checkpoint, stamp, stampedAt: timeOf(stamp, note) };
}

function timeOf(stamp: Buffer, note: string): number {
  try {
    return readTimeStamp(stamp, Buffer.from(note), null);
  } catch (error) {
    if (!(error instanceof TimeStampError)) throw error;
    const says = `What the service has sent as the time stamp of its checkpoint ${error.message}.`;
    throw new CliError(says, { exit: EXIT.integrity, code: 'integrity_failure', cause: error });
  }
}

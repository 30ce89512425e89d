import { ApiError } from '../../errors.ts';
import type { ApiClient } from '../api/api-client.ts';
import { type Evidence, signedCheckpoint } from './read-evidence.ts';
import type { Signers } from './signers.ts';

const FROM = 'the service';

/**
 * A checkpoint that the service signs now. One that cannot, because its audit was changed, gives the newest that it has.
 * @throws CliError integrity_failure: none of these keys has signed it
 */
export async function newestCheckpoint(client: ApiClient, signers: Signers): Promise<Evidence> {
  const note = await client.log.checkpoint().catch(async (error: unknown) => {
    if (!(error instanceof ApiError && error.code === 'integrity_failure')) throw error;
    const { checkpoint } = await client.log.state();
    if (checkpoint === null) throw error;
    return client.log.checkpoint(checkpoint.size);
  });
  return { from: FROM, note, checkpoint: signedCheckpoint(FROM, note, await signers()) };
}

import { type PublicKey, readPublicKey } from '../../../src/core/signing-key.ts';
import { ApiError } from '../../errors.ts';
import type { ApiClient } from '../api/api-client.ts';
import { type Evidence, signedCheckpoint } from './read-evidence.ts';

const FROM = 'the service';

/** The keys that the service says to be its own: worth as much as the service's word. */
export async function trustedKeys(client: ApiClient): Promise<PublicKey[]> {
  return (await client.signingKeys()).items.map(({ public_key }) => readPublicKey(public_key));
}

/**
 * A checkpoint that the service signs now. One that cannot, because its audit was changed, gives the newest that it has.
 * @throws CliError integrity_failure: none of these keys has signed it
 */
export async function newestCheckpoint(client: ApiClient, keys: readonly PublicKey[]): Promise<Evidence> {
  const note = await client.logCheckpoint().catch(async (error: unknown) => {
    if (!(error instanceof ApiError && error.code === 'integrity_failure')) throw error;
    const { checkpoint } = await client.log();
    if (checkpoint === null) throw error;
    return client.logCheckpoint(checkpoint.size);
  });
  return { from: FROM, note, checkpoint: signedCheckpoint(FROM, note, keys) };
}

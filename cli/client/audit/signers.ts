import { KeyError, type PublicKey, readPublicKey } from '../../../src/core/signing-key.ts';
import { CliError, EXIT } from '../../errors.ts';
import type { ApiClient } from '../api/api-client.ts';
import { readKey } from './read-evidence.ts';

/**
 * Whose signatures count. To be asked for after what they have signed: a key is known to the service before it signs anything, and one
 * may begin to sign between two requests, when it is rotated or another replica starts.
 */
export type Signers = () => Promise<readonly PublicKey[]>;

/**
 * @param key the file of the only one that counts; left out: those that the service says to be its own, worth as much as its word
 * @throws CliError file_unreadable, wrong_usage
 */
export async function signersOf(client: ApiClient, key: string | undefined): Promise<Signers> {
  if (key === undefined) return () => keysOfService(client);
  const keys = [await readKey(key)];
  return async () => keys;
}

/** Every key that the service says to be its own. @throws CliError integrity_failure */
export async function keysOfService(client: ApiClient): Promise<PublicKey[]> {
  const { items } = await client.signingKeys();
  try {
    return items.map(({ public_key }) => readPublicKey(public_key));
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    throw new CliError(`A key of the service ${error.message}.`, { exit: EXIT.integrity, code: 'integrity_failure' });
  }
}

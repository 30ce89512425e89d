import type { Package } from '../../../src/api/types.ts';
import { KeyError, readPublicKey } from '../../../src/core/signing-key.ts';
import { CliError, EXIT } from '../../errors.ts';
import type { ApiClient } from '../api/api-client.ts';
import type { Proofs } from './bundle.ts';

/** What the service signed of a package, and the keys that check it. @throws CliError integrity_failure for a key that is none */
export async function readProofs(client: ApiClient, { id }: Package): Promise<Proofs> {
  const attestation = await client.attestation(id);
  const { items } = await client.signingKeys();
  try {
    return { attestation, keys: items.map(({ public_key }) => readPublicKey(public_key)) };
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    throw new CliError(`A key of the service ${error.message}.`, { exit: EXIT.integrity, code: 'integrity_failure' });
  }
}

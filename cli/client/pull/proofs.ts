import type { Package } from '../../../src/api/types.ts';
import { openNote } from '../../../src/core/signed-note.ts';
import type { PublicKey } from '../../../src/core/signing-key.ts';
import { parseProof } from '../../../src/core/tlog-proof.ts';
import { isApiError } from '../../errors.ts';
import type { ApiClient } from '../api/api-client.ts';
import { checkProof } from '../audit/check-proof.ts';
import { verifiersOf } from '../audit/read-evidence.ts';
import { keysOfService } from '../audit/signers.ts';

/** What a bundle has of a package beside its files and its manifest. */
export interface Proofs {
  /** The envelope, as the service gives it. */
  attestation: Buffer;
  /** All of the service's. */
  keys: readonly PublicKey[];
  /** That the audit's log has the finalization; null: the service cannot prove it. */
  log: LogProofs | null;
}

export interface LogProofs {
  /** C2SP tlog-proof. */
  proof: string;
  /** The signed checkpoint that it leads to. */
  checkpoint: string;
  /** The key that has signed that, which may be a later one than the attestation's. */
  key: PublicKey;
}

/** What the service signed of a package, and the keys that check it. @throws CliError integrity_failure */
export async function readProofs(client: ApiClient, { id }: Package): Promise<Proofs> {
  const attestation = await client.attestation(id);
  const proof = await readLogProof(client, id);
  // The last: a key that has signed one of these may have been made between two requests.
  const keys = await keysOfService(client);
  return { attestation, keys, log: proof === null ? null : checkedProof(proof, keys) };
}

/** That the audit's log has the finalization. @returns null when the service has no log, or has lost the event: it was rebuilt since */
async function readLogProof(client: ApiClient, id: string): Promise<string | null> {
  const { items } = await client.log.events({ package_id: id, action: 'package.finalized', limit: 1 });
  const [event] = items;
  if (event === undefined) return null;
  try {
    return await client.log.proof(event.id);
  } catch (error) {
    if (isApiError(error, 'route_not_found', 'event_not_found')) return null;
    throw error;
  }
}

/** @throws CliError integrity_failure: the proof does not hold */
function checkedProof(proof: string, keys: readonly PublicKey[]): LogProofs {
  const { checkpoint } = checkProof('The proof of the service', proof, keys, []);
  const { note } = parseProof(proof);
  return { proof, checkpoint: note, key: openNote(note, verifiersOf(checkpoint.origin, keys)).verifier.key };
}

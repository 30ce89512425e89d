import type { Checkpoint } from '../../../src/core/checkpoint.ts';
import { readCheckpoint } from '../../../src/core/checkpoint.ts';
import type { PublicKey } from '../../../src/core/signing-key.ts';
import { openProof, parseProof } from '../../../src/core/tlog-proof.ts';
import { CliError, EXIT } from '../../errors.ts';
import { type Evidence, orRefused, verifiersOf } from './read-evidence.ts';

export interface CheckedProof {
  /** The event, canonical JSON. */
  entry: string;
  index: number;
  checkpoint: Checkpoint;
}

/**
 * What a proof proves. @param from its file, for messages @param kept checkpoints of which it must be one
 * @throws CliError integrity_failure
 */
export function checkProof(
  from: string,
  text: string,
  keys: readonly PublicKey[],
  kept: readonly Evidence[],
): CheckedProof {
  const { entry, index, checkpoint } = orRefused(from, () => {
    const { origin } = readCheckpoint(parseProof(text).note);
    return openProof(text, verifiersOf(origin, keys));
  });
  const other = kept.find((each) => {
    const { origin, size, root } = each.checkpoint;
    return origin !== checkpoint.origin || (size === checkpoint.size && !root.equals(checkpoint.root));
  });
  if (other !== undefined) {
    const says = `${from} is of another log than ${other.from}: the same key has signed both.`;
    throw new CliError(says, { exit: EXIT.integrity, code: 'integrity_failure' });
  }
  return { entry: entry.toString('utf8'), index, checkpoint };
}

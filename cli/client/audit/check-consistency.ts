import { isConsistent } from '../../../src/core/merkle.ts';
import { CliError, EXIT } from '../../errors.ts';
import type { ApiClient } from '../api/api-client.ts';
import type { Evidence } from './read-evidence.ts';

/** That the log of one checkpoint begins with that of an older one. @throws CliError integrity_failure */
export async function checkConsistency(client: ApiClient, kept: Evidence, newest: Evidence): Promise<void> {
  const [first, second] = [kept.checkpoint, newest.checkpoint];
  if (first.origin !== second.origin)
    throw broken(`${kept.from} is of the log ${first.origin}, and the service has ${second.origin}`);
  if (first.size > second.size) {
    throw broken(
      `${kept.from} is of ${first.size} entries, and the log has ${second.size}: it was cut off, or the registry is older`,
    );
  }
  const { hashes } = await client.log.consistency(first.size, second.size);
  const proof = hashes.map((hash) => Buffer.from(hash, 'base64'));
  if (isConsistent(first, second, proof)) return;
  throw broken(`the log of ${second.size} entries does not begin with the ${first.size} of ${kept.from}`);
}

function broken(says: string): CliError {
  return new CliError(`The log is not the one that was kept: ${says}.`, {
    exit: EXIT.integrity,
    code: 'integrity_failure',
    next: '`artifact-store audit verify --checkpoint FILE` says where it breaks.',
  });
}

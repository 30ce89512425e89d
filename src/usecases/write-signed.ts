import type { WrittenObject } from '../blobs/blob-store.ts';
import type { ObjectKey } from '../blobs/key-layout.ts';
import { digestOf } from '../core/digest.ts';
import { type Envelope, EnvelopeError, envelopeBytes, parseEnvelope } from '../core/dsse.ts';
import { isStoreError } from '../core/errors.ts';
import type { PublicKey } from '../core/signing-key.ts';
import { ENVELOPE_MAX_BYTES } from '../core/statement.ts';
import { onePiece } from './one-piece.ts';
import { readSmall } from './read-small.ts';
import type { Services, WithObjects } from './services.ts';
import { knownKeys } from './signing-keys.ts';
import { versionOf } from './version-of.ts';

/**
 * Writes an envelope, or finds it there: signed with this key or an earlier one, before a crash or by another replica. What stands there
 * and nobody known has signed is worth nothing, and is replaced.
 * @param says whether an envelope that stands there says the same; throws EnvelopeError when none of the keys has signed it
 */
export async function writeSigned(
  services: Services<WithObjects>,
  key: ObjectKey,
  envelope: Envelope,
  says: (standing: Envelope, keys: readonly PublicKey[]) => boolean,
): Promise<WrittenObject> {
  const { objects } = services.blobs;
  const bytes = envelopeBytes(envelope);
  try {
    return await objects.write(key, onePiece(bytes));
  } catch (error) {
    if (!isStoreError(error, 'integrity_failure')) throw error;
  }
  const versionId = await versionOf(objects, { key, versionId: null });
  const standing = await readSmall(objects, key, ENVELOPE_MAX_BYTES, versionId);
  const keys = await knownKeys(services);
  if (isKnown(standing, (found) => says(found, keys))) {
    return { digest: digestOf(standing), size: standing.length, versionId };
  }
  services.log.warn(
    { key },
    'what stands in storage in the place of an envelope is signed by no known key, and is replaced',
  );
  await objects.remove({ key, versionId: null });
  return objects.write(key, onePiece(bytes));
}

function isKnown(bytes: Buffer, says: (standing: Envelope) => boolean): boolean {
  try {
    return says(parseEnvelope(bytes));
  } catch (error) {
    if (error instanceof EnvelopeError) return false;
    throw error;
  }
}

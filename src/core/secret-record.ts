import type { JsonObject } from './canonical-json.ts';
import { StoreError } from './errors.ts';
import { canonicalMetadata, METADATA_MAX_BYTES } from './metadata.ts';

/** The member of a package's metadata that says which secrets its files have. */
export const SECRETS_MEMBER = 'secret_findings';
/** Places of one record. */
export const SECRET_PLACES_MAX = 100;

/** Kinds of one record. */
export const SECRET_KINDS_MAX = 100;

/** Where a secret stands: never what it is. */
export interface SecretPlace {
  path: string;
  /** From 1 on. */
  line: number;
  kind: string;
  /** Whether the producer's baseline knows it. */
  accepted: boolean;
}

/** What a producer found in the files of a package. */
export interface SecretRecord {
  count: number;
  /** How many of them the producer's baseline knows. */
  accepted: number;
  /** How many of each kind. */
  by: Record<string, number>;
  /** The first ones, in the order of paths. */
  places: SecretPlace[];
}

/**
 * The metadata with the record in it; without places where they would make it too large.
 * @throws StoreError invalid_metadata when it has a member of that name, or has no room
 */
export function withSecretRecord(
  metadata: JsonObject,
  record: SecretRecord,
): { metadata: JsonObject; metadata_text: string } {
  if (Object.hasOwn(metadata, SECRETS_MEMBER)) {
    const message = `has a member ${SECRETS_MEMBER}: under that name it is recorded which secrets the files have`;
    throw new StoreError('invalid_metadata', `The package's metadata ${message}.`, {
      errors: [{ field: `metadata.${SECRETS_MEMBER}`, message }],
    });
  }
  const full = { ...metadata, [SECRETS_MEMBER]: record as unknown as JsonObject };
  const fits = Buffer.byteLength(JSON.stringify(full)) <= METADATA_MAX_BYTES;
  const recorded = fits ? full : { ...metadata, [SECRETS_MEMBER]: { ...record, places: [] } as unknown as JsonObject };
  return { metadata: recorded, metadata_text: canonicalMetadata(recorded) };
}

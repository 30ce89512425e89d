import type { CheckPlan } from '../blobs/stream-check.ts';
import type { Digest } from '../core/digest.ts';
import { isStoreError, type StoreError } from '../core/errors.ts';
import type { PackMember } from '../core/pack.ts';
import type { UploadFailure } from '../core/upload-state.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import type { Services, WithReader } from './services.ts';
import { openStoredObject, type StoredObject } from './stored-object.ts';

/** What an object is to be made of. */
export interface ObjectForm {
  /** Of a pack; null: a loose blob. */
  members: readonly PackMember[] | null;
  /** The encoded frame table; null: what is stored is the content. */
  frames: Uint8Array<ArrayBuffer> | null;
}

/** An upload with all that was planned of it. */
export interface PlannedObject extends UploadRecord, ObjectForm {}

/**
 * Checks a completed object against its plan, up to the first fault: its digest, a pack's members one by one, and stored frames one by one.
 * Reads it once, unless it is a loose blob, stored as it is, whose digest is known.
 * @param knownDigest of the stored bytes, from storage that hashed, or is proven to refuse, every byte
 * @returns what is wrong; null: nothing is
 */
export async function verifyObject(
  services: Services<WithReader>,
  object: StoredObject & ObjectForm,
  knownDigest: Digest | null,
): Promise<UploadFailure | null> {
  const { members, frames, stored_digest, stored_size } = object;
  if (knownDigest !== null && knownDigest !== (stored_digest ?? object.digest)) {
    return stored_digest === null ? otherDigest(object, knownDigest) : otherStored(object, stored_digest, knownDigest);
  }
  if (members === null && frames === null && knownDigest !== null) {
    services.meters.verified('bound', stored_size);
    return null;
  }
  const stream = await openStoredObject(services, object);
  if (stream === null) return { code: 'upload_abandoned', detail: 'The completed object is not in storage.' };
  const plan: CheckPlan = {
    members,
    // What is stored is known: its content's digest is not.
    whole: frames !== null || knownDigest === null,
    stored: frames && { frames, digest: knownDigest === null ? stored_digest : null },
  };
  try {
    const digest = await services.checker.forSize(object.size)(stream, plan);
    if (digest !== null && digest !== object.digest) return otherDigest(object, digest);
    services.meters.verified('read', stored_size);
    return null;
  } catch (error) {
    const failure = failureOf(error);
    if (failure === null) throw error;
    return failure;
  }
}

function otherDigest({ digest }: StoredObject, actual: Digest): UploadFailure {
  const detail = `The bytes sent for ${digest} have the digest ${actual}.`;
  return { code: 'digest_mismatch', detail, actual_digest: actual };
}

function otherStored({ digest }: StoredObject, expected: Digest, actual: Digest): UploadFailure {
  const detail = `The stored bytes sent for ${digest} have the digest ${actual}, not ${expected}.`;
  return { code: 'digest_mismatch', detail, expected_digest: expected, actual_digest: actual };
}

const WRONG_BYTES = ['digest_mismatch', 'invalid_pack', 'invalid_frames'] as const;

function failureOf(error: unknown): UploadFailure | null {
  const code = WRONG_BYTES.find((one) => isStoreError(error, one));
  if (code === undefined) return null;
  const { message: detail, extras } = error as StoreError;
  return {
    code,
    detail,
    ...(extras.digest === undefined ? {} : { member: extras.digest }),
    ...(extras.actual_digest === undefined ? {} : { actual_digest: extras.actual_digest as string }),
    ...(extras.expected_digest === undefined ? {} : { expected_digest: extras.expected_digest as string }),
  };
}

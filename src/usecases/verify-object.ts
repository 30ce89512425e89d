import type { Readable } from 'node:stream';
import type { ObjectKey } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { isStoreError } from '../core/errors.ts';
import type { PackMember } from '../core/pack.ts';
import type { UploadFailure } from '../core/upload-state.ts';
import type { UploadRecord } from '../registry/uploads.ts';
import type { Services } from './services.ts';

/**
 * Holds a completed object against what was planned: its digest, and a pack's members one by one. Reads it once, unless
 * it is a loose blob whose digest is known. @param knownDigest from storage that hashed, or is proven to refuse, every byte
 * @returns what is wrong; null: nothing is
 */
export async function verifyObject(
  services: Services,
  upload: UploadRecord,
  members: readonly PackMember[] | null,
  knownDigest: Digest | null,
): Promise<UploadFailure | null> {
  let digest = knownDigest;
  if (members !== null || digest === null) {
    const stream = await openCompleted(services, upload);
    if (stream === null) return { code: 'upload_abandoned', detail: 'The completed object is not in storage.' };
    const plan = { members, whole: digest === null };
    try {
      const found = await services.checker.forSize(upload.size)(stream, plan);
      digest ??= found as Digest;
    } catch (error) {
      const failure = memberFailure(error);
      if (failure === null) throw error;
      return failure;
    }
  }
  if (digest === upload.digest) return null;
  const detail = `The bytes sent for ${upload.digest} have the digest ${digest}.`;
  return { code: 'digest_mismatch', detail, actual_digest: digest };
}

async function openCompleted(services: Services, upload: UploadRecord): Promise<Readable | null> {
  try {
    return await services.blobs.openObject({ key: upload.key as ObjectKey, versionId: upload.version_id });
  } catch (error) {
    if (isStoreError(error, 'object_not_found')) return null;
    throw error;
  }
}

function memberFailure(error: unknown): UploadFailure | null {
  if (!isStoreError(error, 'digest_mismatch') && !isStoreError(error, 'invalid_pack')) return null;
  const { code, message: detail, extras } = error;
  return {
    code: code as 'digest_mismatch' | 'invalid_pack',
    detail,
    ...(extras.digest === undefined ? {} : { member: extras.digest }),
    ...(extras.actual_digest === undefined ? {} : { actual_digest: extras.actual_digest as string }),
  };
}

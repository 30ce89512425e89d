import type { Completion } from '../blobs/blob-store.ts';
import { StoreError } from '../core/errors.ts';
import type { UploadFailure } from '../core/upload-state.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import { completedAt } from './completion.ts';
import { dropKey } from './drop-key.ts';
import { recordChange } from './record-change.ts';
import type { Caller, Services, WithUploads } from './services.ts';

/**
 * Ends a completion that went wrong. The key is dropped: now if storage answers, else by recovery.
 * @returns false: another instance had ended it already
 */
export async function failUpload(
  services: Services<WithUploads>,
  caller: Caller,
  upload: UploadRecord,
  failure: UploadFailure,
  completion: Completion,
): Promise<boolean> {
  const moved = await services.registry.transaction(async (tables) => {
    const now = await tables.now();
    const ended = completedAt(upload, completion, now);
    const change = { failure, drop_key: true, owner: null, lease_until: null, ...ended };
    if (!(await tables.uploads.move(upload.id, 'completing', 'failed', change, services.instance))) return false;
    await recordChange(tables, caller, {
      at: now,
      action: 'upload.failed',
      package_id: upload.package_id,
      subject_id: upload.id,
      reason: failure.detail,
      detail: { code: failure.code, digest: upload.digest },
    });
    return true;
  });
  if (!moved) return false;
  services.meters.committed(failure.code);
  await dropKey(services, { ...upload, drop_key: true }, completion);
  return true;
}

/** What a failed upload answers from then on. */
export function failureError(upload: UploadRecord, failure: UploadFailure): StoreError {
  const digest = failure.member ?? upload.digest;
  const { actual_digest, expected_digest = digest } = failure;
  const extras = {
    digest,
    ...(failure.member === undefined ? {} : { pack: upload.digest }),
    ...(actual_digest === undefined ? {} : { expected_digest, actual_digest }),
  };
  if (failure.code === 'upload_abandoned') return abandoned(upload, failure.detail);
  return new StoreError(failure.code, failure.detail, extras);
}

export function abandoned(upload: UploadRecord, why: string, cause?: unknown): StoreError {
  const detail = `Upload ${upload.id} was abandoned (${why}): plan ${upload.digest} again and send its bytes again.`;
  return new StoreError('upload_abandoned', detail, { digest: upload.digest, upload_id: upload.id }, { cause });
}

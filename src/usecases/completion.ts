import type { Completion } from '../blobs/blob-store.ts';
import type { UploadRecord } from '../registry/upload-record.ts';

/** What the registry tells of the completion of an upload that has ended. */
export function completionOf(upload: UploadRecord): Completion {
  return upload.completed_at === null ? 'unclean' : 'clean';
}

/** What whoever drops the key later must know: whether the completion was clean, and which version it made. */
export function completedAt({ completed_at, version_id }: UploadRecord, completion: Completion, now: number) {
  return { completed_at: completion === 'clean' ? (completed_at ?? now) : null, version_id };
}

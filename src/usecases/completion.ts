import type { Completion } from '../blobs/blob-store.ts';
import type { UploadRecord } from '../registry/upload-record.ts';

/** What a completion was that made no object that is known. */
export function completionFrom(settled: 'nothing' | 'unknown'): Completion {
  return settled === 'nothing' ? 'not_sent' : 'unclean';
}

/** What the registry tells of a completion that another process, or nobody, saw end. */
export function completionOf(upload: UploadRecord): Completion {
  return upload.state === 'committed' || upload.completed_at !== null ? 'clean' : 'unclean';
}

/** What whoever drops the key later must know of a clean completion: that it was clean, and which version it made. */
export function completedAt({ completed_at, version_id }: UploadRecord, now: number) {
  return { completed_at: completed_at ?? now, version_id };
}

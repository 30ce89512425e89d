import { setTimeout as sleep } from 'node:timers/promises';
import { isStoreError, StoreError } from '../core/errors.ts';
import type { UploadId } from '../core/ids.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import { readUpload } from './access.ts';
import { claimForCompletion, runCompletion } from './complete-upload.ts';
import { abandoned, failureError } from './fail-upload.ts';
import { nameInStorage } from './name-in-storage.ts';
import type { Caller, Services, WithReader, WithUploads } from './services.ts';

/** How long a commit waits for its verification before it answers `verifying`, if nothing else is said. */
export const COMMIT_PATIENCE_MS = 5_000;

export interface Committed {
  upload: UploadRecord;
  state: 'stored' | 'verifying';
}

/**
 * Completes an upload whose parts have all arrived, verifies it, and records it. Safe to repeat: storage is told to
 * complete at most once, and later calls return the result.
 * @throws StoreError upload_incomplete, upload_abandoned, digest_mismatch, no_space
 */
export async function commitUpload(
  services: Services<WithUploads & WithReader>,
  caller: Caller,
  uploadId: UploadId,
): Promise<Committed> {
  const { upload } = await readUpload(services.registry.read, caller, uploadId);
  const claim = upload.state === 'open' ? await begin(services, caller, upload) : null;
  const running = services.running.get(uploadId);
  if (running) {
    const timer = new AbortController();
    const patience = sleep(services.commitPatienceMs, undefined, { signal: timer.signal }).catch(() => {});
    // What went wrong is read from the registry below, as everybody else reads it.
    await Promise.race([running.catch(() => {}), patience]);
    timer.abort();
  }
  const ended = await services.registry.read.uploads.get(uploadId);
  // The claim that this one waited for has failed: it has one of its own.
  if (claim === 'theirs' && ended?.state === 'open' && !services.running.has(uploadId))
    return commitUpload(services, caller, uploadId);
  return outcome(ended ?? upload);
}

/** @throws StoreError what the upload's end was, if it did not end well */
function outcome(upload: UploadRecord): Committed {
  if (upload.state === 'committed') return { upload, state: 'stored' };
  if (upload.state === 'failed' && upload.failure) throw failureError(upload, upload.failure);
  if (upload.state === 'aborting' || upload.state === 'aborted') throw abandoned(upload, 'it was aborted or expired');
  return { upload, state: 'verifying' };
}

/** @returns whose claim there is; null: none */
async function begin(
  services: Services<WithUploads & WithReader>,
  caller: Caller,
  upload: UploadRecord,
): Promise<'ours' | 'theirs' | null> {
  const handle = (await nameInStorage(services, [upload])).get(upload.id);
  if (!handle) return null;
  const parts = (await services.registry.read.uploads.parts([upload.id])).get(upload.id) ?? [];
  const listed = (await services.blobs.uploads.listParts(handle)) ?? [];
  const received = new Map(listed.map((part) => [part.number, part]));
  const missing = parts.filter((part) => received.get(part.number)?.size !== part.size).map((part) => part.number);
  // An expired upload accepts no more parts: claiming it ends it.
  const expired = upload.expires_at <= (await services.registry.read.now());
  if (missing.length > 0 && !expired) {
    // Somebody else may have completed it since we asked: then the parts are gone because it is done.
    if ((await services.registry.read.uploads.get(upload.id))?.state !== 'open') return null;
    throw new StoreError(
      'upload_incomplete',
      `Upload ${upload.id} still needs the parts ${missing.slice(0, 100).join(', ')}.`,
      {
        digest: upload.digest,
        missing_parts: missing.slice(0, 100),
      },
    );
  }
  // Another request of this process has claimed it since, or is about to.
  if (services.running.has(upload.id)) return 'theirs';
  const claim = claimForCompletion(services, caller, upload.id);
  const ours: UploadRecord = {
    ...upload,
    state: 'completing',
    owner: services.instance,
    storage_upload_id: handle.storageUploadId,
  };
  // What keeps it from being claimed is thrown below.
  const run = claim
    .catch(() => false)
    .then(async (claimed) => {
      if (claimed) await runCompletion(services, caller, ours, parts, { received: listed });
    });
  // From the claim on, so that whoever reads of it in the registry finds it here.
  services.running.set(upload.id, run);
  run
    .catch((error) => {
      // What ended the upload stands in the registry and the audit.
      if (isStoreError(error) && (error.status < 500 || error.code === 'no_space')) return;
      services.log.error({ upload: upload.id, err: error }, 'the completion was interrupted; recovery continues it');
    })
    .finally(() => services.running.delete(upload.id));
  await claim;
  return 'ours';
}

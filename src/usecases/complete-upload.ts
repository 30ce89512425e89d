import type { CompletedObject, Completion, ReceivedPart } from '../blobs/blob-store.ts';
import type { Digest } from '../core/digest.ts';
import { isStoreError, StoreError } from '../core/errors.ts';
import type { StoredForm } from '../core/frame-table.ts';
import { newId, type UploadId } from '../core/ids.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { UploadFailure } from '../core/upload-state.ts';
import type { Tables } from '../registry/registry.ts';
import type { UploadRecord } from '../registry/uploads.ts';
import { abortOpen, EXPIRED } from './abort-upload.ts';
import { contentsOf, handleOf, isReadBack } from './plan-uploads.ts';
import { recordChange } from './record.ts';
import type { Caller, Services } from './services.ts';
import { type PlannedObject, verifyObject } from './verify-object.ts';

/** How long an instance may be silent before another takes its completion over; it renews three times as often. */
const LEASE_MS = 30_000;

const OTHER_INSTANCE = 'another instance of the service has ended it';

/** More that the recording transaction does, beside proving the package's files. */
export type OnRecord = (tables: Tables) => Promise<void>;

/**
 * The compare-and-set after which a Complete may be sent, and an Abort may not. @returns false when the upload is not
 * open any more
 */
export async function claimForCompletion(services: Services, caller: Caller, uploadId: UploadId): Promise<boolean> {
  return services.registry.transaction(async (tables) => {
    const now = await tables.now();
    const upload = await tables.uploads.get(uploadId);
    if (upload?.state !== 'open') return false;
    if (upload.expires_at <= now) {
      await abortOpen(tables, caller, upload.package_id, { only: [uploadId], reason: EXPIRED });
      return false;
    }
    return tables.uploads.move(uploadId, 'open', 'completing', {
      owner: services.instance,
      lease_until: now + LEASE_MS,
    });
  });
}

/**
 * Completes, verifies and records an upload that this instance has claimed. Ends committed or failed, unless the process
 * dies or the registry is away: then the lease runs out and recovery ends it.
 * @throws StoreError as the upload's failure says
 */
export async function runCompletion(
  services: Services,
  caller: Caller,
  upload: UploadRecord,
  parts: readonly PlannedPart[],
  { received, onRecord }: { received?: readonly ReceivedPart[]; onRecord?: OnRecord } = {},
): Promise<void> {
  await withLease(services, upload, async () => {
    let completed: CompletedObject;
    try {
      completed = await services.blobs.completeUpload(handleOf(upload), parts, received);
    } catch (error) {
      // No clean answer: this key is never used again, whatever has become of it.
      const full = isStoreError(error, 'no_space');
      const failure: UploadFailure = {
        code: full ? 'no_space' : 'upload_abandoned',
        detail: `Storage could not complete the upload: ${messageOf(error)}`,
      };
      const completion = isStoreError(error, 'upload_incomplete') ? 'not_sent' : 'unclean';
      await failUpload(services, caller, upload, failure, completion);
      throw full ? error : abandoned(upload, messageOf(error), error);
    }
    // What the service delivered it cut itself from bytes that it hashed.
    const digest = completed.digest ?? (completed.partsBound && upload.channel === 'service' ? upload.digest : null);
    const { versionId } = completed;
    // What must be read back takes time: whoever takes over then need not give the object up.
    const noting = digest === null || isReadBack(upload) ? noteCompleted(services, upload.id, versionId) : null;
    // Awaited after the reading, which it need not wait for.
    noting?.catch(() => {});
    await verifyAndRecord(services, caller, { ...upload, version_id: versionId }, digest, { noting, onRecord });
  });
}

async function noteCompleted(services: Services, uploadId: UploadId, versionId: string | null): Promise<void> {
  await services.registry.transaction(async (tables) => {
    const change = { completed_at: await tables.now(), version_id: versionId };
    await tables.uploads.amend(uploadId, 'completing', services.instance, change);
  });
}

/** Takes up where an instance stopped after storage's clean answer: verify, then record. */
export async function resumeCompletion(services: Services, caller: Caller, upload: UploadRecord): Promise<void> {
  await withLease(services, upload, () => verifyAndRecord(services, caller, upload, null));
}

/** The lease's length from now on: for taking a completion over. */
export function leaseFrom(now: number): number {
  return now + LEASE_MS;
}

async function verifyAndRecord(
  services: Services,
  caller: Caller,
  upload: UploadRecord,
  knownDigest: Digest | null,
  { noting, onRecord }: { noting?: Promise<void> | null; onRecord?: OnRecord | undefined } = {},
): Promise<void> {
  const { uploads } = services.registry.read;
  const members = upload.kind === 'pack' ? (await uploads.members([upload.id])).get(upload.id) : null;
  const frames = upload.encoding === 'identity' ? null : (await uploads.frames([upload.id])).get(upload.id);
  // Both go with the upload's end.
  if (members === undefined || frames === undefined) throw abandoned(upload, OTHER_INSTANCE);
  const plan = { ...upload, members, frames };
  const failure = await verifyObject(services, plan, knownDigest);
  await noting;
  if (failure !== null) {
    await failUpload(services, caller, upload, failure, 'clean');
    throw failureError(upload, failure);
  }
  let kept: boolean | null;
  try {
    kept = await recordUpload(services, caller, plan, onRecord);
  } catch (error) {
    // The registry is away: the upload stays completing, and recovery ends it.
    if (!isStoreError(error) || (error.status >= 500 && error.code !== 'no_space')) throw error;
    // A rule forbade what the bytes were for (a path taken meanwhile), or the registry is full: they go.
    const code = error.code === 'no_space' ? 'no_space' : 'upload_abandoned';
    await failUpload(services, caller, upload, { code, detail: error.message }, 'clean');
    throw error;
  }
  if (kept === null) throw abandoned(upload, OTHER_INSTANCE);
  if (!kept) await dropKey(services, { ...upload, drop_key: true }, 'clean');
}

/**
 * One transaction: the object and its locations (unless other uploads stored all of its blobs first), the package's files
 * proven, the upload committed. @returns whether the object is kept; null when the upload was not ours any more
 */
async function recordUpload(
  services: Services,
  caller: Caller,
  upload: PlannedObject,
  onRecord?: OnRecord,
): Promise<boolean | null> {
  const contents = contentsOf(upload);
  return services.registry.transaction(async (tables) => {
    // Always the package before the blobs, as everybody who needs both: and no file that is being registered is missed.
    await tables.packages.lock(upload.package_id);
    const now = await tables.now();
    const stored = await tables.blobs.lock(contents, now);
    const duplicate = stored.size === contents.length;
    const change = { drop_key: duplicate, owner: null, lease_until: null, ...completedAt(upload, now) };
    if (!(await tables.uploads.move(upload.id, 'completing', 'committed', change, services.instance))) return null;
    if (!duplicate) {
      const id = newId('obj', now);
      const { kind, key, version_id, digest, size } = upload;
      await tables.blobs.addObject({
        id,
        kind,
        key,
        version_id,
        digest,
        size,
        stored: storedForm(upload),
        created_at: now,
      });
      // Also of blobs that have a location elsewhere: who may read a whole pack is decided by all that it holds.
      await tables.blobs.addLocations(id, contents);
    }
    await onRecord?.(tables);
    const files = await tables.files.prove(upload.package_id, contents);
    await recordChange(tables, caller, {
      at: now,
      action: 'upload.committed',
      package_id: upload.package_id,
      subject_id: upload.id,
      detail: {
        digest: upload.digest,
        size: upload.size,
        ...(upload.encoding === 'identity' ? {} : { encoding: upload.encoding, stored_size: upload.stored_size }),
        ...(upload.kind === 'pack' ? { members: contents.length } : {}),
        // Not whether the store had the bytes before: that tells that somebody else has them (invariant 7).
        files,
      },
    });
    return !duplicate;
  });
}

function storedForm({ stored_digest: digest, stored_size: size, frames }: PlannedObject): StoredForm | null {
  return digest === null || frames === null ? null : { digest, size, frames };
}

/** What whoever drops the key later must know of a clean completion: that it was clean, and which version it made. */
function completedAt({ completed_at, version_id }: UploadRecord, now: number) {
  return { completed_at: completed_at ?? now, version_id };
}

/** Ends a completion that went wrong. The key is dropped: now if storage answers, else by recovery. */
export async function failUpload(
  services: Services,
  caller: Caller,
  upload: UploadRecord,
  failure: UploadFailure,
  completion: Completion,
): Promise<void> {
  const moved = await services.registry.transaction(async (tables) => {
    const now = await tables.now();
    const ended = completion === 'clean' ? completedAt(upload, now) : {};
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
  if (moved) await dropKey(services, { ...upload, drop_key: true }, completion);
}

/**
 * Removes what stands under a key that nothing refers to, as far as the completion lets storage do that. What storage
 * refuses now, recovery tries again; what it can free later only stays marked for the sweep.
 */
export async function dropKey(
  services: Services,
  upload: UploadRecord,
  completion: Completion = completionOf(upload),
): Promise<void> {
  if (!upload.drop_key) return;
  const { uploads } = services.registry.read;
  try {
    const outcome =
      upload.storage_upload_id === null
        ? 'dropped'
        : await services.blobs.dropUpload(handleOf(upload), completion, upload.version_id);
    await (outcome === 'dropped' ? uploads.setDropped(upload.id) : uploads.setDropLater(upload.id));
  } catch (error) {
    services.log.warn({ upload: upload.id, err: error }, 'the dropped object stays until recovery removes it');
  }
}

/** What the registry tells of a completion that another process, or nobody, saw end. */
export function completionOf(upload: UploadRecord): Completion {
  return upload.state === 'committed' || upload.completed_at !== null ? 'clean' : 'unclean';
}

/** What a failed upload answers for ever. */
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

async function withLease(services: Services, upload: UploadRecord, work: () => Promise<void>): Promise<void> {
  const renew = async (): Promise<void> => {
    const lease_until = (await services.registry.read.now()) + LEASE_MS;
    await services.registry.read.uploads.amend(upload.id, 'completing', services.instance, { lease_until });
  };
  const timer = setInterval(() => {
    // A lease that cannot be renewed runs out; the compare-and-set at the end then decides.
    renew().catch((error) => services.log.warn({ upload: upload.id, err: error }, 'could not renew the lease'));
  }, LEASE_MS / 3);
  const run = work().finally(() => {
    clearInterval(timer);
    services.running.delete(upload.id);
  });
  services.running.set(upload.id, run);
  await run;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

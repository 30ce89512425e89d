import type { CompletedObject, Completion, ReceivedPart } from '../blobs/blob-store.ts';
import type { Digest } from '../core/digest.ts';
import { type ErrorCode, isStoreError } from '../core/errors.ts';
import type { UploadId } from '../core/ids.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { UploadFailure } from '../core/upload-state.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import { abortOpen, EXPIRED } from './abort-upload.ts';
import { dropKey } from './drop-key.ts';
import { abandoned, failUpload, failureError } from './fail-upload.ts';
import { handleOf } from './name-in-storage.ts';
import { isReadBack } from './object-plan.ts';
import { type OnRecord, recordUpload } from './record-upload.ts';
import type { Caller, Services, WithReader, WithUploads } from './services.ts';
import { verifyObject } from './verify-object.ts';

/** How long an instance may be silent before another takes its completion over; it renews three times as often. */
const LEASE_MS = 30_000;
/** With which the store says that it has made no object. */
const NOTHING_COMPLETED: readonly ErrorCode[] = ['upload_incomplete', 'upload_abandoned'];

/** What refuses to record an upload, and will refuse it again. */
const FULL: readonly ErrorCode[] = ['no_space', 'quota_exceeded'];

const OTHER_INSTANCE = 'another instance of the service has ended it';

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
  services: Services<WithUploads & WithReader>,
  caller: Caller,
  upload: UploadRecord,
  parts: readonly PlannedPart[],
  { received, onRecord }: { received?: readonly ReceivedPart[]; onRecord?: OnRecord } = {},
): Promise<void> {
  await withLease(services, upload, async () => {
    let completed: CompletedObject;
    try {
      completed = await services.blobs.uploads.complete(handleOf(upload), parts, received);
    } catch (error) {
      // No clean answer: this key is never used again, whatever has become of it.
      const full = isStoreError(error, 'no_space');
      const failure: UploadFailure = {
        code: full ? 'no_space' : 'upload_abandoned',
        detail: `Storage could not complete the upload: ${messageOf(error)}`,
      };
      const completion = isStoreError(error) && NOTHING_COMPLETED.includes(error.code) ? 'not_sent' : 'unclean';
      // Storage may have refused because another instance, which took this one for dead, has ended it.
      if (!(await failUpload(services, caller, upload, failure, completion))) throw abandoned(upload, OTHER_INSTANCE);
      throw full ? error : abandoned(upload, messageOf(error), error);
    }
    // What the service delivered it cut itself from bytes that it hashed.
    const digest = completed.digest ?? (completed.partsBound && upload.channel === 'service' ? upload.digest : null);
    const { versionId } = completed;
    // Reading back takes time: after a takeover the object need not be abandoned.
    const noting = digest === null || isReadBack(upload) ? noteCompleted(services, upload.id, versionId) : null;
    // Awaited after the reading, which it need not wait for.
    noting?.catch(() => {});
    const record = { noting, onRecord, completion: 'clean' } as const;
    await verifyAndRecord(services, caller, { ...upload, version_id: versionId }, digest, record);
  });
}

async function noteCompleted(services: Services, uploadId: UploadId, versionId: string | null): Promise<void> {
  await services.registry.transaction(async (tables) => {
    const change = { completed_at: await tables.now(), version_id: versionId };
    await tables.uploads.amend(uploadId, 'completing', services.instance, change);
  });
}

/**
 * Takes up where an instance stopped after storage had completed the upload: verify, then record. That instance, or one with a registry
 * that was replaced by this older one, may have come further: what stands is removed by nobody but a sweep.
 */
export async function resumeCompletion(
  services: Services<WithUploads & WithReader>,
  caller: Caller,
  upload: UploadRecord,
): Promise<void> {
  await withLease(services, upload, () => verifyAndRecord(services, caller, upload, null, { completion: 'unclean' }));
}

/** The lease's length from now on: for taking a completion over. */
export function leaseFrom(now: number): number {
  return now + LEASE_MS;
}

interface Recording {
  noting?: Promise<void> | null;
  onRecord?: OnRecord | undefined;
  /** For dropping the key of what is not recorded. */
  completion: Completion;
}

async function verifyAndRecord(
  services: Services<WithUploads & WithReader>,
  caller: Caller,
  upload: UploadRecord,
  knownDigest: Digest | null,
  { noting, onRecord, completion }: Recording,
): Promise<void> {
  const { uploads } = services.registry.read;
  const members = upload.kind === 'pack' ? (await uploads.members([upload.id])).get(upload.id) : null;
  const frames = upload.encoding === 'identity' ? null : (await uploads.frames([upload.id])).get(upload.id);
  // Both go with the upload's end.
  if (members === undefined || frames === undefined) throw abandoned(upload, OTHER_INSTANCE);
  const plan = { ...upload, members, frames };
  const failure = await verifyObject(services, plan, knownDigest).catch(async (error: unknown) => {
    if (completion === 'clean' || (await mayBeReadLater(services, upload))) throw error;
    return unreadable(error);
  });
  await noting;
  if (failure !== null) {
    await failUpload(services, caller, upload, failure, completion);
    throw failureError(upload, failure);
  }
  let kept: boolean | null;
  try {
    kept = await recordUpload(services, caller, plan, completion, onRecord);
  } catch (error) {
    // The registry is away: the upload stays completing, and recovery ends it.
    if (!isStoreError(error) || (error.status >= 500 && !FULL.includes(error.code))) throw error;
    // A rule forbade the registration (the path was taken meanwhile), or there is no room for it: the bytes are removed.
    const code = error.code === 'no_space' ? 'no_space' : 'upload_abandoned';
    await failUpload(services, caller, upload, { code, detail: error.message }, completion);
    throw error;
  }
  if (kept === null) throw abandoned(upload, OTHER_INSTANCE);
  if (!kept) await dropKey(services, { ...upload, drop_key: true }, completion);
}

/** What storage has said that it completed is worth waiting for, as long as its parts would have been. */
async function mayBeReadLater({ registry }: Services, { completed_at, expires_at }: UploadRecord): Promise<boolean> {
  return completed_at !== null && expires_at > (await registry.read.now());
}

function unreadable(error: unknown): UploadFailure {
  return { code: 'upload_abandoned', detail: `Storage cannot read what it completed: ${messageOf(error)}` };
}

async function withLease(services: Services, upload: UploadRecord, work: () => Promise<void>): Promise<void> {
  const renew = async (): Promise<void> => {
    await services.registry.transaction(async (tables) => {
      const lease_until = leaseFrom(await tables.now());
      await tables.uploads.amend(upload.id, 'completing', services.instance, { lease_until });
    });
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

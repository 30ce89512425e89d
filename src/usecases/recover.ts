import { attestationKey, manifestKey } from '../blobs/key-layout.ts';
import type { PackageId } from '../core/ids.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import { abortOpen, EXPIRED, finishAbort } from './abort-upload.ts';
import { attest } from './attest.ts';
import { leaseFrom, resumeCompletion } from './complete-upload.ts';
import { tellStorage } from './decide.ts';
import { dropKey } from './drop-key.ts';
import { failUpload } from './fail-upload.ts';
import { finalizePackage } from './finalize-package.ts';
import type { Recovered } from './meters.ts';
import { handleOf } from './name-in-storage.ts';
import { writeReceipts } from './receipts.ts';
import {
  type Services,
  SYSTEM,
  type WithDecisions,
  type WithObjects,
  type WithReader,
  type WithUploads,
} from './services.ts';

const BATCH = 1_000;

/** `theirs`: somebody else was faster. */
type Step = 'done' | 'failed' | 'theirs';

/**
 * Ends what a crash, a freeze or a lost answer left half done: runs at start and every minute, on any replica, and never
 * needs a human (invariant 5). Each step is a compare-and-set, so that replicas may run it at once.
 * @param signal ends it after the step that is under way
 */
export async function recover(services: Services<WithUploads & WithDecisions>, signal?: AbortSignal): Promise<void> {
  const { uploads, packages, retention } = services.registry.read;
  const now = await services.registry.read.now();
  await each(services, signal, 'expiry', await uploads.listExpired(now, BATCH), (upload) => expire(services, upload));
  await each(services, signal, 'abort', await uploads.listAborting(BATCH), async (upload) =>
    (await finishAbort(services, upload)) ? 'done' : 'theirs',
  );
  const stalled = (await uploads.listStalled(now, BATCH)).filter((upload) => !services.running.has(upload.id));
  await each(services, signal, 'completion', stalled, (upload) => endCompletion(services, upload));
  await each(services, signal, 'drop', await uploads.listDropping(BATCH), async (upload) =>
    (await dropKey(services, upload)) ? 'done' : 'failed',
  );
  await each(services, signal, 'finalize', await packages.listSealing(), async (id) => {
    await finalizePackage(services, SYSTEM, id);
    return 'done';
  });
  await each(services, signal, 'attestation', await packages.listUnattested(BATCH), async (id) => {
    await attest(services, id);
    return 'done';
  });
  await each(services, signal, 'manifest', await packages.listDeletedSealed(), async (id) => {
    await removeManifest(services, id);
    return 'done';
  });
  await each(services, signal, 'decisions', await retention.listUnwritten(BATCH), async (id) => {
    await tellStorage(services, id);
    return 'done';
  });
  await each(services, signal, 'receipts', await retention.listWithoutReceipt(BATCH), async (id) => {
    return (await writeReceipts(services, id)) ? 'done' : 'failed';
  });
}

/** A manifest that stays would say that the package was finalized. */
async function removeManifest({ blobs, registry }: Services<WithObjects>, id: PackageId): Promise<void> {
  for (const key of [manifestKey(id), attestationKey(id)]) await blobs.objects.remove({ key, versionId: null });
  await registry.transaction(({ packages }) => packages.update(id, { sealed_at: null }));
}

async function expire(services: Services, { id, package_id }: UploadRecord): Promise<Step> {
  const aborted = await services.registry.transaction((tables) =>
    abortOpen(tables, SYSTEM, package_id, { only: [id], reason: EXPIRED }),
  );
  return aborted > 0 ? 'done' : 'theirs';
}

/** An instance died or froze while it completed: go on from what storage has made, or abandon the key. */
async function endCompletion(services: Services<WithUploads & WithReader>, upload: UploadRecord): Promise<Step> {
  // Those before this one may have taken long: a lease counted from then could have ended already.
  const now = await services.registry.read.now();
  const isMine = await services.registry.transaction(({ uploads }) =>
    uploads.takeOver(upload.id, services.instance, now, leaseFrom(now)),
  );
  if (!isMine) return 'theirs';
  const mine = { ...upload, owner: services.instance };
  const made = upload.completed_at === null ? await settle(services, mine) : mine;
  if (typeof made !== 'string') await resumeCompletion(services, SYSTEM, made);
  else {
    const detail = 'The service stopped while storage completed the upload.';
    const completion = made === 'nothing' ? 'not_sent' : 'unclean';
    await failUpload(services, SYSTEM, mine, { code: 'upload_abandoned', detail }, completion);
  }
  return 'done';
}

/** @returns the upload with the version that stands; or that there is none, or that storage does not know */
async function settle(
  { blobs }: Services<WithUploads>,
  upload: UploadRecord,
): Promise<UploadRecord | 'nothing' | 'unknown'> {
  if (upload.storage_upload_id === null) return 'nothing';
  const settled = await blobs.uploads.settle(handleOf(upload));
  return typeof settled === 'string' ? settled : { ...upload, version_id: settled.versionId };
}

async function each<Item>(
  services: Services,
  signal: AbortSignal | undefined,
  what: Recovered,
  items: readonly Item[],
  end: (item: Item) => Promise<Step>,
): Promise<void> {
  for (const item of items) {
    if (signal?.aborted) return;
    try {
      const step = await end(item);
      if (step !== 'theirs') services.meters.recovered(what, step);
    } catch (error) {
      services.meters.recovered(what, 'failed');
      services.log.warn({ err: error }, 'recovery will try this again');
    }
  }
}

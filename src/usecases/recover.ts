import { manifestKey } from '../blobs/key-layout.ts';
import type { PackageId } from '../core/ids.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import { abortOpen, EXPIRED, finishAbort } from './abort-upload.ts';
import { leaseFrom, resumeCompletion } from './complete-upload.ts';
import { tellStorage } from './decide.ts';
import { dropKey } from './drop-key.ts';
import { failUpload } from './fail-upload.ts';
import { finalizePackage } from './finalize-package.ts';
import {
  type Services,
  SYSTEM,
  type WithDecisions,
  type WithObjects,
  type WithReader,
  type WithUploads,
} from './services.ts';

const BATCH = 1_000;

/**
 * Ends what a crash, a freeze or a lost answer left half done: runs at start and every minute, on any replica, and never
 * needs a human (invariant 5). Each step is a compare-and-set, so that replicas may run it at once.
 * @param signal ends it after the step that is under way
 */
export async function recover(services: Services<WithUploads & WithDecisions>, signal?: AbortSignal): Promise<void> {
  const { uploads, packages, retention } = services.registry.read;
  const now = await services.registry.read.now();
  await each(services, signal, await uploads.listExpired(now, BATCH), (upload) => expire(services, upload));
  await each(services, signal, await uploads.listAborting(BATCH), (upload) => finishAbort(services, upload));
  const stalled = (await uploads.listStalled(now, BATCH)).filter((upload) => !services.running.has(upload.id));
  await each(services, signal, stalled, (upload) => endCompletion(services, upload));
  await each(services, signal, await uploads.listDropping(BATCH), (upload) => dropKey(services, upload));
  await each(services, signal, await packages.listSealing(), async (id) => {
    await finalizePackage(services, SYSTEM, id);
  });
  await each(services, signal, await packages.listDeletedSealed(), (id) => removeManifest(services, id));
  await each(services, signal, await retention.listUnwritten(BATCH), (id) => tellStorage(services, id));
}

/** A manifest that stays would say that the package was finalized. */
async function removeManifest({ blobs, registry }: Services<WithObjects>, id: PackageId): Promise<void> {
  await blobs.objects.remove({ key: manifestKey(id), versionId: null });
  await registry.transaction(({ packages }) => packages.update(id, { sealed_at: null }));
}

async function expire(services: Services, { id, package_id }: UploadRecord): Promise<void> {
  await services.registry.transaction((tables) =>
    abortOpen(tables, SYSTEM, package_id, { only: [id], reason: EXPIRED }),
  );
}

/** An instance died or froze while it completed: go on from storage's clean answer, or abandon the key. */
async function endCompletion(services: Services<WithUploads & WithReader>, upload: UploadRecord): Promise<void> {
  // Those before this one may have taken long: a lease counted from then could have ended already.
  const now = await services.registry.read.now();
  const isMine = await services.registry.transaction(({ uploads }) =>
    uploads.takeOver(upload.id, services.instance, now, leaseFrom(now)),
  );
  if (!isMine) return;
  const mine = { ...upload, owner: services.instance };
  if (upload.completed_at !== null) return resumeCompletion(services, SYSTEM, mine);
  const detail = 'The service stopped while storage completed the upload.';
  await failUpload(services, SYSTEM, mine, { code: 'upload_abandoned', detail }, 'unclean');
}

async function each<Item>(
  services: Services,
  signal: AbortSignal | undefined,
  items: readonly Item[],
  end: (item: Item) => Promise<void>,
): Promise<void> {
  for (const item of items) {
    if (signal?.aborted) return;
    try {
      await end(item);
    } catch (error) {
      services.log.warn({ err: error }, 'recovery will try this again');
    }
  }
}

import type { UploadHandle } from '../blobs/blob-store.ts';
import { blobKey } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { StoredForm } from '../core/frame-table.ts';
import { newId, type PackageId, type UploadId } from '../core/ids.ts';
import type { PackMember } from '../core/pack.ts';
import { nextStatus } from '../core/package-state.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import { abortOpen, abortUpload, finishAbort } from './abort-upload.ts';
import { readPackage } from './access.ts';
import { claimForCompletion, runCompletion } from './complete-upload.ts';
import { nameInStorage } from './name-in-storage.ts';
import type { OnRecord } from './record-upload.ts';
import type { Caller, Services, WithReader, WithUploads } from './services.ts';

/** An object of the service's own, and how its bytes get to storage. */
export interface Delivery {
  digest: Digest;
  size: number;
  parts: readonly PlannedPart[];
  /** Bytes per ms. */
  slowest: number;
  bring: (upload: UploadHandle) => Promise<unknown>;
  /** What it is the content of, for whoever is told that it took too long: a file, or what the service calls it. */
  path: string;
  /** Of a pack; left out: a loose blob. */
  members?: readonly PackMember[];
  /** What is delivered in the place of the content. */
  stored?: StoredForm | null;
}

/** An upload of the service's own ends within the request; one that a crash left open is aborted after this. */
const SERVICE_UPLOAD_LIFETIME_MS = 3_600_000;

/**
 * Makes an object of the service's own out of bytes that `bring` delivers, verifies it, and records it for the package. The
 * upload's row is there before storage knows it: what a crash leaves, recovery aborts. It knows nothing of files.
 * @param packageId null: it is a copy of the service's own, kept although the bytes are in storage
 * @param onRecord is done by the transaction that records it
 */
export async function storeObject(
  services: Services<WithUploads & WithReader>,
  caller: Caller,
  packageId: PackageId | null,
  delivery: Delivery,
  onRecord?: OnRecord,
): Promise<void> {
  const { digest, size, parts } = delivery;
  const uploadId = await services.registry.transaction(async (tables) => {
    const now = await tables.now();
    const id = newId('upl', now) as UploadId;
    await tables.uploads.insert([
      {
        id,
        package_id: packageId,
        channel: 'service',
        digest,
        size,
        key: blobKey(digest, id),
        created_by: caller.actor,
        created_at: now,
        expires_at: now + SERVICE_UPLOAD_LIFETIME_MS + Math.ceil(size / delivery.slowest),
        parts,
        members: delivery.members ?? null,
        stored: delivery.stored ?? null,
      },
    ]);
    return id;
  });
  const upload = await deliver(services, caller, packageId, uploadId, delivery);
  await runCompletion(services, caller, upload, parts, onRecord === undefined ? {} : { onRecord });
}

/** Hands the bytes to storage and claims the upload; what fails here leaves none of them. @returns the upload, claimed */
async function deliver(
  services: Services<WithUploads>,
  caller: Caller,
  packageId: PackageId | null,
  uploadId: UploadId,
  { bring, path }: Delivery,
): Promise<UploadRecord> {
  try {
    const opened = await services.registry.read.uploads.get(uploadId);
    if (!opened) throw new Error(`upload ${uploadId} is not there after its insert`);
    const handle = (await nameInStorage(services, [opened])).get(uploadId);
    if (!handle) throw new StoreError('upload_closed', `Upload ${uploadId} has ended before it began.`);
    await bring(handle);
    if (await claimForCompletion(services, caller, uploadId)) {
      return { ...opened, storage_upload_id: handle.storageUploadId, owner: services.instance };
    }
    throw new StoreError('unavailable', `The upload of ${JSON.stringify(path)} took too long: send it again.`, {
      path,
    });
  } catch (error) {
    await abortOwn(services, caller, packageId, uploadId).catch((err) => {
      services.log.warn({ upload: uploadId, err }, 'the upload stays until it expires');
    });
    // The package was finalized, failed or deleted meanwhile: that ended the upload, and the caller must know that.
    if (packageId !== null) nextStatus(await readPackage(services.registry.read, caller, packageId), 'register');
    throw error;
  }
}

async function abortOwn(
  services: Services<WithUploads>,
  caller: Caller,
  packageId: PackageId | null,
  id: UploadId,
): Promise<void> {
  if (packageId !== null) {
    await abortUpload(services, caller, id);
    return;
  }
  await services.registry.transaction((tables) => abortOpen(tables, caller, null, { only: [id] }));
  const upload = await services.registry.read.uploads.get(id);
  if (upload?.state === 'aborting') await finishAbort(services, upload);
}

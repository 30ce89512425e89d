import type { UploadHandle } from '../blobs/blob-store.ts';
import { blobKey } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import { newId, type PackageId, type UploadId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { nextStatus } from '../core/package-state.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { FileRecord } from '../registry/files.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import { abortUpload } from './abort-upload.ts';
import { lockPackage, readPackage } from './access.ts';
import { claimForCompletion, runCompletion } from './complete-upload.ts';
import { nameInStorage } from './name-in-storage.ts';
import { type NewFile, placeFiles } from './place-files.ts';
import type { OnRecord } from './record-upload.ts';
import type { Caller, Services, WithReader, WithUploads } from './services.ts';

export interface PutFileInput {
  path: LogicalPath;
  media_type?: string | undefined;
  /** Checked against the bytes, when given. */
  digest?: Digest | undefined;
  replace: boolean;
  /** Bytes that will come, where the sender tells. */
  size?: number | undefined;
}

/** What a file holds. */
export type Content = { digest: Digest; size: number };

/** An object of the service's own, and how its bytes get to storage. */
export interface Delivery extends Content {
  parts: readonly PlannedPart[];
  /** Bytes per ms. */
  slowest: number;
  bring: (upload: UploadHandle) => Promise<unknown>;
}

/** An upload of the service's own ends within the request; one that a crash left open is aborted after this. */
const SERVICE_UPLOAD_LIFETIME_MS = 3_600_000;

/**
 * Makes an object of the service's own out of bytes that `bring` delivers, and registers the file in the transaction that
 * proves them. The upload's row is there before storage knows it: what a crash leaves, recovery aborts.
 */
export async function storeFile(
  services: Services<WithUploads & WithReader>,
  caller: Caller,
  pkg: PackageRecord,
  input: PutFileInput,
  delivery: Delivery,
): Promise<FileRecord> {
  const { digest, size, parts } = delivery;
  const uploadId = await services.registry.transaction(async (tables) => {
    const now = await tables.now();
    const id = newId('upl', now) as UploadId;
    await tables.uploads.insert([
      {
        id,
        package_id: pkg.id,
        channel: 'service',
        digest,
        size,
        key: blobKey(digest, id),
        created_by: caller.actor,
        created_at: now,
        expires_at: now + SERVICE_UPLOAD_LIFETIME_MS + Math.ceil(size / delivery.slowest),
        parts,
        members: null,
        stored: null,
      },
    ]);
    return id;
  });
  const upload = await deliver(services, caller, pkg.id, uploadId, input, delivery);
  let file: FileRecord | undefined;
  const onRecord: OnRecord = async (tables) => {
    const locked = await lockPackage(tables, caller, pkg.id);
    [file] = await placeFiles(tables, caller, locked, [fileOf(input, delivery)], () => input.replace);
  };
  await runCompletion(services, caller, upload, parts, { onRecord });
  if (!file) throw new Error(`${input.path} was recorded without a file`);
  return file;
}

/** Hands the bytes to storage and claims the upload; what fails here leaves none of them. @returns the upload, claimed */
async function deliver(
  services: Services<WithUploads>,
  caller: Caller,
  packageId: PackageId,
  uploadId: UploadId,
  input: PutFileInput,
  { bring }: Delivery,
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
    throw new StoreError('unavailable', `The upload of ${JSON.stringify(input.path)} took too long: send it again.`, {
      path: input.path,
    });
  } catch (error) {
    await abortUpload(services, caller, uploadId).catch((err) => {
      services.log.warn({ upload: uploadId, err }, 'the upload stays until it expires');
    });
    // Finalized, failed or deleted meanwhile: that ended the upload, and that is what the caller must know.
    nextStatus(await readPackage(services.registry.read, caller, packageId), 'register');
    throw error;
  }
}

export function fileOf(input: PutFileInput, content: Content): NewFile {
  return {
    path: input.path,
    digest: content.digest,
    size: content.size,
    media_type: input.media_type,
    proven: true,
  };
}

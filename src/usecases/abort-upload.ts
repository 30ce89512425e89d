import type { ObjectKey } from '../blobs/key-layout.ts';
import { StoreError } from '../core/errors.ts';
import type { PackageId, UploadId } from '../core/ids.ts';
import { isFinal } from '../core/upload-state.ts';
import type { Tables } from '../registry/registry.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import { readUpload } from './access.ts';
import { recordChanges } from './record-change.ts';
import type { Caller, Services, WithUploads } from './services.ts';

/** Why, in the audit. */
export const EXPIRED = 'It expired before it was committed.';

/** Gives an open upload up. What has ended already stays as it is. @throws StoreError upload_closed while it completes */
export async function abortUpload(
  services: Services<WithUploads>,
  caller: Caller,
  id: UploadId,
): Promise<UploadRecord> {
  await services.registry.transaction(async (tables) => {
    const { upload } = await readUpload(tables, caller, id);
    if ((await abortOpen(tables, caller, upload.package_id, { only: [id] })) > 0) return;
    if (isFinal(upload.state) || upload.state === 'aborting') return;
    throw new StoreError('upload_closed', `Upload ${id} is ${upload.state}: it can no longer be aborted.`);
  });
  const { upload } = await readUpload(services.registry.read, caller, id);
  if (upload.state === 'aborting') await finishAbort(services, upload);
  return (await readUpload(services.registry.read, caller, id)).upload;
}

/**
 * The one way from open to aborting, each with its audit event. Storage is told afterwards: at once, or by recovery.
 * @param only these uploads of the package; left out: all of them @returns how many were still open
 */
export async function abortOpen(
  tables: Tables,
  caller: Caller,
  packageId: PackageId | null,
  { only, reason = null }: { only?: readonly UploadId[]; reason?: string | null } = {},
): Promise<number> {
  if (only?.length === 0) return 0;
  const aborted = await tables.uploads.abortOpen(packageId, only);
  const at = await tables.now();
  await recordChanges(
    tables,
    caller,
    aborted.map((id) => ({ at, action: 'upload.aborted', package_id: packageId, subject_id: id, reason })),
  );
  return aborted.length;
}

/** Tells storage of an upload that can never be completed any more. What fails here, recovery does again. @returns false: somebody else has */
export async function finishAbort(services: Services<WithUploads>, upload: UploadRecord): Promise<boolean> {
  const { id, key, storage_upload_id } = upload;
  // One that storage never named to us may have begun there.
  await services.blobs.uploads.abort({ id, key: key as ObjectKey, storageUploadId: storage_upload_id });
  return services.registry.transaction((tables) => tables.uploads.move(upload.id, 'aborting', 'aborted'));
}

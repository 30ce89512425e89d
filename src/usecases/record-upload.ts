import type { Completion } from '../blobs/blob-store.ts';
import type { JsonObject } from '../core/canonical-json.ts';
import type { StoredForm } from '../core/frame-table.ts';
import { newId } from '../core/ids.ts';
import type { Tables } from '../registry/registry.ts';
import { completedAt } from './completion.ts';
import { contentsOf } from './object-plan.ts';
import { recordChange } from './record-change.ts';
import type { Caller, Services } from './services.ts';
import type { PlannedObject } from './verify-object.ts';

/** More that the recording transaction does, beside proving the package's files. */
export type OnRecord = (tables: Tables) => Promise<void>;

/**
 * One transaction: the object and its locations (unless other uploads stored all of its blobs first), the package's files
 * proven, the upload committed. @returns whether the object is kept; null when the upload was not ours any more
 */
export async function recordUpload(
  services: Services,
  caller: Caller,
  upload: PlannedObject,
  completion: Completion,
  onRecord?: OnRecord,
): Promise<boolean | null> {
  const contents = contentsOf(upload);
  const { package_id: packageId } = upload;
  const kept = await services.registry.transaction(async (tables) => {
    // Always the package before the blobs, as everybody who needs both: and no file that is being registered is missed.
    if (packageId !== null) await tables.packages.lock(packageId);
    const now = await tables.now();
    const stored = await tables.blobs.lock(contents, now);
    // What the service writes anew is a copy by intention.
    const isCopy = packageId === null && upload.channel === 'service';
    const duplicate = !isCopy && stored.size === contents.length;
    const change = { drop_key: duplicate, owner: null, lease_until: null, ...completedAt(upload, completion, now) };
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
        lock_wanted: isCopy,
      });
      // Also of blobs that have a location elsewhere: who may read a whole pack is decided by all that it holds.
      await tables.blobs.addLocations(id, contents);
    }
    await onRecord?.(tables);
    const proven: JsonObject = packageId === null ? {} : { files: await tables.files.prove(packageId, contents) };
    await recordChange(tables, caller, {
      at: now,
      action: 'upload.committed',
      package_id: packageId,
      subject_id: upload.id,
      detail: {
        digest: upload.digest,
        size: upload.size,
        ...(upload.encoding === 'identity' ? {} : { encoding: upload.encoding, stored_size: upload.stored_size }),
        ...(upload.kind === 'pack' ? { members: contents.length } : {}),
        // Not whether the store had the bytes before: that tells that somebody else has them (invariant 7).
        ...proven,
      },
    });
    return !duplicate;
  });
  if (kept !== null) services.meters.committed('committed');
  return kept;
}

function storedForm({ stored_digest: digest, stored_size: size, frames }: PlannedObject): StoredForm | null {
  return digest === null || frames === null ? null : { digest, size, frames };
}

import { type ObjectKey, ownerOf } from '../blobs/key-layout.ts';
import type { UploadId } from '../core/ids.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import type { Services, WithObjects, WithUploads } from './services.ts';

const BATCH = 500;

/**
 * Keys of completions that had no clean answer, when nothing can be in flight any more: what stands there is removed, but
 * not what a file needs that no object holds. The upload itself is never aborted: storage may have completed it (on Ceph RGW 16.2 that
 * destroys what it made). @param before ms
 */
export async function dropLateKeys(services: Services<WithObjects>, before: number): Promise<void> {
  for (let after: UploadId | null = null; ; ) {
    const uploads: UploadRecord[] = await services.registry.read.uploads.listDroppingLater(after, BATCH);
    const wanted = await services.registry.read.blobs.wantedAmong(uploads.map(({ digest }) => digest));
    // A pack may have the members that another one has lost.
    const packsStay = await services.registry.read.blobs.anyLostIsNeeded();
    const late = uploads.filter(
      ({ expires_at, digest, kind }) => expires_at <= before && !wanted.has(digest) && !(packsStay && kind === 'pack'),
    );
    if (late.length > 0) {
      const locked = await services.blobs.objects.removeMany(
        late.map(({ key, version_id }) => ({ key: key as ObjectKey, versionId: version_id })),
      );
      const kept = new Set<string>(locked.map(({ key }) => key));
      await services.registry.transaction(async (tables) => {
        for (const { id, key } of late) if (!kept.has(key)) await tables.uploads.setDropped(id);
      });
    }
    const last = uploads.at(-1);
    if (last === undefined) return;
    after = last.id;
  }
}

/** What became of uploads that storage has open although they ended. */
export interface Unfinished {
  /** Never completed by anybody: aborted, when the sweep acts. */
  aborted: number;
  /** Storage may have completed them, or the registry does not know them: they are left alone. */
  kept: number;
}

/** Looks at uploads that storage has begun and not ended. @param before younger ones are not judged, ms */
export async function endUnfinished(
  services: Services<WithUploads>,
  before: number,
  act: boolean,
): Promise<Unfinished> {
  const found: Unfinished = { aborted: 0, kept: 0 };
  for await (const { key, names, begunAt } of services.blobs.uploads.listBegun()) {
    const owner = ownerOf(key);
    if (owner?.kind !== 'blob' || begunAt > before) continue;
    const upload = await services.registry.read.uploads.get(owner.uploadId);
    if (upload !== null && ['open', 'completing', 'aborting'].includes(upload.state)) continue;
    if (upload === null || !wasNeverCompleted(upload, names)) {
      found.kept += 1;
      continue;
    }
    found.aborted += 1;
    const [storageUploadId = ''] = names;
    if (act) await services.blobs.uploads.abort({ id: upload.id, key, storageUploadId });
  }
  return found;
}

/** Of two planners that raced, one's upload was kept and the other's is not known: only what is kept is ever completed. */
function wasNeverCompleted({ state, storage_upload_id }: UploadRecord, names: readonly string[]): boolean {
  return state === 'aborted' || (storage_upload_id !== null && !names.includes(storage_upload_id));
}

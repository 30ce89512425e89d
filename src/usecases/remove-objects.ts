import type { ObjectKey } from '../blobs/key-layout.ts';
import type { Due, SweptObject } from '../registry/unneeded-objects.ts';
import { recordChanges } from './record-change.ts';
import type { Caller, Services, WithObjects } from './services.ts';

/** Looked at in one statement. */
const PAGE = 500;
/** Moved in one transaction. */
const BATCH = 50;

/** Objects that a process was removing when it died. Another one may be at it now: that does no harm. */
export async function removeBegun(
  services: Services<WithObjects>,
  removed: (objects: readonly SweptObject[]) => Promise<void>,
): Promise<void> {
  for (let after: number | null = 0; after !== null; ) {
    const page = await services.registry.read.blobs.listRemoving(after, PAGE);
    await removed(await remove(services, page.objects));
    after = page.next;
  }
}

/**
 * Removes what was condemned, or lost, long enough ago and is still not needed. First the registry says that the bytes count no more,
 * then storage is told, then the registry forgets where they were: a crash in between leaves work for `removeBegun`, and whoever wakes
 * up late can only hit a key that is never used again. @param act else they are only listed @param due told of each page
 * @param removed told of those that were removed, by nobody else
 */
export async function removeDue(
  services: Services<WithObjects>,
  caller: Caller,
  since: Due,
  act: boolean,
  due: (objects: readonly SweptObject[]) => void,
  removed: (objects: readonly SweptObject[]) => Promise<void>,
): Promise<void> {
  for (let after: number | null = 0; after !== null; ) {
    const page = await services.registry.read.blobs.listDue(since, after, PAGE);
    if (!act) due(page.objects);
    else {
      for (let start = 0; start < page.objects.length; start += BATCH) {
        const removing = await begin(services, caller, since, page.objects.slice(start, start + BATCH));
        due(removing);
        await removed(await remove(services, removing));
      }
    }
    after = page.next;
  }
}

/** @returns those that storage is to remove now */
async function begin(
  { registry }: Services,
  caller: Caller,
  due: Due,
  objects: readonly SweptObject[],
): Promise<SweptObject[]> {
  return registry.transaction(async (tables) => {
    const at = await tables.now();
    const asked = objects.map(({ id }) => id);
    const ids = new Set(await tables.blobs.beginRemoving(asked, due, at));
    const removing = objects.filter(({ id }) => ids.has(id));
    await recordChanges(
      tables,
      caller,
      removing.map(({ id, key, stored_size, state }) => ({
        at,
        action: 'object.removed',
        package_id: null,
        subject_id: id,
        reason:
          state === 'lost'
            ? 'It was lost, and no living package needs it.'
            : 'No living package has needed it since it was condemned.',
        detail: { key, stored_size },
      })),
    );
    return removing;
  });
}

/** @returns those that nobody else has removed in the meantime */
async function remove(
  { blobs, registry }: Services<WithObjects>,
  objects: readonly SweptObject[],
): Promise<SweptObject[]> {
  if (objects.length === 0) return [];
  await blobs.objects.removeMany(
    objects.map(({ key, version_id }) => ({ key: key as ObjectKey, versionId: version_id })),
  );
  const ids = objects.map(({ id }) => id);
  const gone = new Set(await registry.transaction(async ({ blobs: table, now }) => table.setGone(ids, await now())));
  return objects.filter(({ id }) => gone.has(id));
}

import type { ObjectKey } from '../blobs/key-layout.ts';
import type { Due, SweptObject } from '../registry/unneeded-objects.ts';
import { recordChanges } from './record-change.ts';
import type { Caller, Services, WithObjects } from './services.ts';

/** Looked at in one statement. */
const PAGE = 500;
/** Moved in one transaction. */
const BATCH = 50;

/** Whoever removes objects says what became of them. */
interface Told {
  /** By nobody else. */
  removed(objects: readonly SweptObject[]): Promise<void>;
  /** Storage keeps them: they are locked. */
  kept(objects: readonly SweptObject[]): void;
}

/**
 * Objects that a process was removing when it died, or that were locked when it tried. Another one may be at it now: that does no
 * harm.
 */
export async function removeBegun(services: Services<WithObjects>, { removed, kept }: Told): Promise<void> {
  for (let after: number | null = 0; after !== null; ) {
    const page = await services.registry.read.blobs.listRemoving(after, PAGE, await services.registry.read.now());
    await remove(services, page.objects, { removed, kept });
    after = page.next;
  }
}

/**
 * Removes what was condemned, or lost, long enough ago and is still not needed. First the registry says that the bytes count no more,
 * then storage is told, then the registry forgets where they were: a crash in between leaves work for `removeBegun`, and whoever wakes
 * up late can only hit a key that is never used again. @param act else they are only listed @param due told of each page
 */
export async function removeDue(
  services: Services<WithObjects>,
  caller: Caller,
  since: Due,
  act: boolean,
  due: (objects: readonly SweptObject[]) => void,
  told: Told,
): Promise<void> {
  for (let after: number | null = 0; after !== null; ) {
    const page = await services.registry.read.blobs.listDue(since, after, PAGE);
    if (!act) due(page.objects);
    else {
      for (let start = 0; start < page.objects.length; start += BATCH) {
        const removing = await begin(services, caller, since, page.objects.slice(start, start + BATCH));
        due(removing);
        await remove(services, removing, told);
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

/** What storage keeps because it is locked is tried again when that is over. */
async function remove(
  { blobs, registry }: Services<WithObjects>,
  objects: readonly SweptObject[],
  { removed, kept }: Told,
): Promise<void> {
  if (objects.length === 0) return;
  const locked = await blobs.objects.removeMany(
    objects.map(({ key, version_id }) => ({ key: key as ObjectKey, versionId: version_id })),
  );
  const untilByKey = new Map<string, number | null>(locked.map(({ key, until }) => [key, until]));
  const ids = objects.filter(({ key }) => !untilByKey.has(key)).map(({ id }) => id);
  const refused = objects.flatMap(({ id, key }) => {
    const until = untilByKey.get(key) ?? null;
    return until === null ? [] : [{ id, until }];
  });
  const gone = await registry.transaction(async ({ blobs: table, locks, now }) => {
    await locks.setRefused(refused);
    return new Set(await table.setGone(ids, await now()));
  });
  kept(objects.filter(({ key }) => untilByKey.has(key)));
  await removed(objects.filter(({ id }) => gone.has(id)));
}

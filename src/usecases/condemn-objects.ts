import type { SweptObject } from '../registry/unneeded-objects.ts';
import { recordChanges } from './record-change.ts';
import type { Caller, Services } from './services.ts';

/** Looked at in one statement. */
const PAGE = 500;
/** Condemned in one transaction, which locks all blobs that they hold: a pack holds thousands. */
const BATCH = 20;

/**
 * Goes through all objects for those that no living package needs. @param found told of each page
 * @param act condemns them: of an object that was needed in the meantime nothing comes
 */
export async function condemnUnneeded(
  services: Services,
  caller: Caller,
  act: boolean,
  found: (objects: readonly SweptObject[]) => Promise<void>,
): Promise<void> {
  for (let after: number | null = 0; after !== null; ) {
    const page = await services.registry.read.blobs.listUnneeded(after, PAGE, await services.registry.read.now());
    if (!act) await found(page.objects);
    else {
      for (let start = 0; start < page.objects.length; start += BATCH) {
        await found(await condemn(services, caller, page.objects.slice(start, start + BATCH)));
      }
    }
    after = page.next;
  }
}

/** @returns those that are condemned now */
async function condemn(
  { registry }: Services,
  caller: Caller,
  objects: readonly SweptObject[],
): Promise<SweptObject[]> {
  return registry.transaction(async (tables) => {
    const at = await tables.now();
    const ids = new Set(
      await tables.blobs.condemn(
        objects.map(({ id }) => id),
        at,
      ),
    );
    const condemned = objects.filter(({ id }) => ids.has(id));
    await recordChanges(
      tables,
      caller,
      condemned.map(({ id, key, stored_size }) => ({
        at,
        action: 'object.condemned',
        package_id: null,
        subject_id: id,
        reason: 'No living package needs it.',
        detail: { key, stored_size },
      })),
    );
    return condemned;
  });
}

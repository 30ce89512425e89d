import type { ObjectKey } from '../blobs/key-layout.ts';
import type { PackageId } from '../core/ids.ts';
import { isHolding } from '../core/object-state.ts';
import type { ObjectRecord } from '../registry/blobs.ts';
import { mapLimit } from './map-limit.ts';
import { recordChanges } from './record-change.ts';
import type { Caller, Services, WithReader } from './services.ts';

const LOOKUPS_AT_ONCE = 16;
const BATCH = 500;

/**
 * Asks storage for each of these objects: one that is gone, or has another size, becomes lost; one that was lost and is
 * back becomes live. Whether its bytes are right is not checked. @param packageId whose files need them; null: a sweep has compared both sides
 * @throws StoreError unavailable when storage does not answer, which says nothing of any object
 */
export async function lookUpObjects(
  services: Services<WithReader>,
  caller: Caller,
  packageId: PackageId | null,
  ids: readonly string[],
): Promise<void> {
  for (let start = 0; start < ids.length; start += BATCH) {
    const objects = await services.registry.read.blobs.getObjects(ids.slice(start, start + BATCH));
    const there = await mapLimit([...objects.values()], LOOKUPS_AT_ONCE, async (object) => {
      const stat = await services.blobs.objects.stat({ key: object.key as ObjectKey, versionId: object.version_id });
      return { object, stands: stat?.size === object.stored_size };
    });
    const gone = there.filter(({ object, stands }) => isHolding(object.state) && !stands);
    const back = there.filter(({ object, stands }) => object.state === 'lost' && stands);
    if (gone.length + back.length === 0) continue;
    await mark(
      services,
      caller,
      packageId,
      gone.map(({ object }) => object),
      back.map(({ object }) => object),
    );
  }
}

async function mark(
  { registry, log }: Services,
  caller: Caller,
  packageId: PackageId | null,
  gone: readonly ObjectRecord[],
  back: readonly ObjectRecord[],
): Promise<void> {
  await registry.transaction(async (tables) => {
    const at = await tables.now();
    const lost = new Set(await tables.blobs.markLost(idsOf(gone), at));
    const found = new Set(await tables.blobs.markFound(idsOf(back), at));
    const change = ({ id, kind, digest, size }: ObjectRecord, action: 'object.lost' | 'object.found') => ({
      at,
      action,
      package_id: packageId,
      subject_id: id,
      detail: { kind, digest, size },
    });
    await recordChanges(tables, caller, [
      ...gone.filter(({ id }) => lost.has(id)).map((object) => change(object, 'object.lost')),
      ...back.filter(({ id }) => found.has(id)).map((object) => change(object, 'object.found')),
    ]);
  });
  if (gone.length > 0) {
    const named = { package: packageId, lost: gone.length, objects: gone.slice(0, 10).map(({ id }) => id) };
    log.error(named, 'objects are gone from storage, or have another size');
  }
}

function idsOf(objects: readonly ObjectRecord[]): string[] {
  return objects.map(({ id }) => id);
}

import type { ObjectKey } from '../blobs/key-layout.ts';
import type { PackageId } from '../core/ids.ts';
import { isHolding } from '../core/object-state.ts';
import type { ObjectRecord } from '../registry/object-record.ts';
import { mapLimit } from './map-limit.ts';
import { recordChanges } from './record-change.ts';
import type { Caller, Services, WithReader } from './services.ts';

const LOOKUPS_AT_ONCE = 16;
const BATCH = 500;

/** What storage says of objects, where the registry says something else. */
export interface Differing {
  /** It does not have them, or not whole. */
  gone: ObjectRecord[];
  /** Those were lost, and it has them. */
  back: ObjectRecord[];
}

/**
 * Asks storage for each of these objects: one that is gone, or has another size, becomes lost; one that was lost and is
 * back becomes live. Whether its bytes are right is not checked. @param packageId whose files need them; null: not of one package
 * @throws StoreError unavailable when storage does not answer, which says nothing of any object
 */
export async function lookUpObjects(
  services: Services<WithReader>,
  caller: Caller,
  packageId: PackageId | null,
  ids: readonly string[],
): Promise<void> {
  for (let start = 0; start < ids.length; start += BATCH) {
    await markDiffering(services, caller, packageId, await askStorage(services, ids.slice(start, start + BATCH)));
  }
}

/** Changes nothing. @throws StoreError unavailable */
export async function askStorage(services: Services<WithReader>, ids: readonly string[]): Promise<Differing> {
  const objects = await services.registry.read.blobs.getObjects(ids);
  const there = await mapLimit([...objects.values()], LOOKUPS_AT_ONCE, async (object) => {
    const stat = await services.blobs.objects.stat({ key: object.key as ObjectKey, versionId: object.version_id });
    return { object, stands: stat?.size === object.stored_size };
  });
  const that = (is: (seen: (typeof there)[number]) => boolean) => there.filter(is).map(({ object }) => object);
  return {
    gone: that(({ object, stands }) => isHolding(object.state) && !stands),
    back: that(({ object, stands }) => object.state === 'lost' && stands),
  };
}

/** @param packageId whose files need them; null: not of one package */
export async function markDiffering(
  { registry, log }: Services,
  caller: Caller,
  packageId: PackageId | null,
  { gone, back }: Differing,
): Promise<void> {
  if (gone.length + back.length === 0) return;
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

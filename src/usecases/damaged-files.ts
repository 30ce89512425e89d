import { type ObjectKey, ownerOf } from '../blobs/key-layout.ts';
import type { Digest } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import type { DamagedObject } from '../registry/damaged-objects.ts';
import type { ReadTables } from '../registry/read-tables.ts';

/** A file, manifest or attestation of which an object has no good bytes. */
export interface DamagedItem {
  package_id: PackageId;
  /** Null: it is no file. */
  path: string | null;
  kind: 'file' | 'manifest' | 'attestation';
  digest: Digest;
  size: number;
  object_id: string;
  /**
   * `wrong`: they are never read. `missing`: storage does not have them. `right`: they can be read, but the object is damaged around
   * them. Where there are no copies, all of them must be sent again.
   */
  bytes: 'wrong' | 'missing' | 'right';
  /** Other objects that have good bytes of it, from which it is read. */
  copies: number;
  last_good_at: number;
  found_at: number;
  /** What is wrong with the object, half a sentence. */
  seen: string;
}

export interface DamagedItems {
  items: DamagedItem[];
  /** There are more than these. */
  more: boolean;
}

const OBJECTS_AT_ONCE = 100;
/** Damaged objects that are looked at for one answer. */
const OBJECTS_MAX = 10_000;

/** What living packages miss, or have in fewer copies. @param packageId whose; null: of all */
export async function damagedItems(
  tables: Pick<ReadTables, 'damaged'>,
  packageId: PackageId | null,
  limit: number,
): Promise<DamagedItems> {
  const items: DamagedItem[] = [];
  let after = 0;
  for (let looked = 0; looked < OBJECTS_MAX; ) {
    const objects = await tables.damaged.list(after, OBJECTS_AT_ONCE);
    for (const object of objects) {
      items.push(...(await itemsOf(tables, object, packageId, limit + 1 - items.length)));
      if (items.length > limit) return { items: items.slice(0, limit), more: true };
    }
    looked += objects.length;
    if (objects.length < OBJECTS_AT_ONCE) return { items, more: false };
    after = objects.at(-1)?.no ?? after;
  }
  return { items, more: true };
}

async function itemsOf(
  { damaged }: Pick<ReadTables, 'damaged'>,
  object: DamagedObject,
  packageId: PackageId | null,
  limit: number,
): Promise<DamagedItem[]> {
  const { id: object_id, digest, size, good_at: last_good_at, found_at, result } = object;
  const seen = object.seen ?? 'is not in storage, or has another length';
  const base = { object_id, last_good_at, found_at, seen };
  const isMissing = result !== 'damaged';
  if (object.kind === 'manifest' || object.kind === 'attestation') {
    const owner = ownerOf(object.key as ObjectKey);
    if (owner?.kind !== object.kind || (packageId !== null && owner.packageId !== packageId)) return [];
    const bytes = isMissing ? 'missing' : 'wrong';
    return [{ ...base, package_id: owner.packageId, path: null, kind: owner.kind, digest, size, bytes, copies: 0 }];
  }
  const files = await damaged.files(object, packageId, limit);
  return files.map(({ is_right, ...file }) => ({
    ...base,
    ...file,
    kind: 'file',
    bytes: isMissing ? 'missing' : is_right ? 'right' : 'wrong',
  }));
}

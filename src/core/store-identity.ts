import { canonicalJson } from './canonical-json.ts';
import { isId } from './ids.ts';

/*
 * A registry and a store belong together: each has the same id, written once. What is in one alone is worth nothing, and the sweep
 * of a registry would remove all that is in the store of another.
 */

export const STORE_SCHEMA = 'artifact-store/store/v1';

export type StoreId = string & { readonly __brand: 'StoreId' };

/** The object in a store that says whose it is: RFC 8785 canonical JSON, written once. */
export function storeBytes(id: StoreId): Buffer {
  return Buffer.from(canonicalJson({ id, schema: STORE_SCHEMA }));
}

/** @returns null for what this software did not write */
export function parseStore(bytes: Uint8Array): StoreId | null {
  try {
    const { id, schema } = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>;
    return schema === STORE_SCHEMA && typeof id === 'string' && isId('sto', id) ? (id as StoreId) : null;
  } catch {
    return null;
  }
}

/** What is seen of a registry and the store beside it. */
export interface StoreFacts {
  registryId: StoreId | null;
  /** `foreign`: the object is there and says nothing that this version understands. */
  storageId: StoreId | 'foreign' | null;
  /** The registry has a package, or an object. */
  registryInUse: boolean;
  /** It has objects whose bytes count. */
  registryHolds: boolean;
  /** The store has manifests or decisions. */
  hasPackages: boolean;
  /** It has objects, or those. */
  hasAnything: boolean;
  /** The store has at least one of a sample of the registry's objects; when that has none, what one of its uploads left. */
  hasSample: boolean;
}

/** `same`: nothing to do. `take`: the registry takes the store's id. `give`: the store gets the registry's, or a new one. */
export type StoreVerdict = 'same' | 'take' | 'give' | StoreRefusal;

/**
 * `foreign_store`: another registry's, or another program's. `empty_store`: the registry's objects are not there.
 * `registry_lost`: packages are there that the registry does not know.
 */
export type StoreRefusal = 'foreign_store' | 'empty_store' | 'registry_lost';

/** Whether a registry may work on a store. Both without an id: they are new, or from before there were ids. */
export function judgeStore(facts: StoreFacts): StoreVerdict {
  const { registryId, storageId, registryInUse, registryHolds } = facts;
  if (storageId === 'foreign') return 'foreign_store';
  if (registryId !== null && storageId !== null) {
    if (registryId !== storageId) return 'foreign_store';
    if (registryHolds && !facts.hasAnything) return 'empty_store';
    // The objects may be there of a push that a crash ended before anything was recorded; a package is recorded first.
    return !registryInUse && facts.hasPackages ? 'registry_lost' : 'same';
  }
  if (registryHolds) {
    // Only its own objects say that an unmarked registry, or an unmarked store, belongs to the other.
    if (facts.hasSample) return storageId === null ? 'give' : 'take';
    return facts.hasAnything || storageId !== null ? 'foreign_store' : 'empty_store';
  }
  // Pushes may have been begun, and ended before anything was recorded.
  if (facts.hasAnything && !facts.hasSample) return registryInUse ? 'foreign_store' : 'registry_lost';
  return storageId === null ? 'give' : 'take';
}

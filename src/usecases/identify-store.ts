import { OBJECTS_PREFIX, type ObjectKey, ownerOf, PACKAGES_PREFIX, STORE_KEY } from '../blobs/key-layout.ts';
import { isStoreError, StoreError } from '../core/errors.ts';
import { newId, type UploadId } from '../core/ids.ts';
import {
  judgeStore,
  parseStore,
  type StoreFacts,
  type StoreId,
  type StoreRefusal,
  storeBytes,
} from '../core/store-identity.ts';
import { mapLimit } from './map-limit.ts';
import { onePiece } from './one-piece.ts';
import { readSmall } from './read-small.ts';
import type { Services, WithObjects, WithReader } from './services.ts';

/**
 * `rebuild_unfinished`: the registry is only half filled from its store. `registry_in_use`, `nothing_stored`: it cannot be filled from it.
 */
export type RebuildRefusal = 'rebuild_unfinished' | 'registry_in_use' | 'nothing_stored';

/** Registry and store do not belong together; `message` says what to do. The service must not work on them. */
export class StoreRefusedError extends Error {
  override readonly name = 'StoreRefusedError';
  readonly code: StoreRefusal | RebuildRefusal;

  constructor(code: StoreRefusal | RebuildRefusal, message: string) {
    super(message);
    this.code = code;
  }
}

/** Of so many objects of the registry at least one must be in a store that has no id yet. */
const SAMPLE = 16;
/** More is not read of what should be some eighty bytes. */
const MARK_MAX_BYTES = 4_096;

/** Where both are, in words for operators. */
export interface StorePlaces {
  registry: string;
  store: string;
}

type Needed = Pick<Services<WithObjects>, 'registry' | 'blobs'>;

/**
 * Finds out whether the registry and the store belong together; gives both the same id when they do and have none. In this order:
 * registry, store. So of any number of services that start at once one id wins, and a crash in between is harmless.
 * @throws StoreRefusedError when they do not; StoreError unavailable when storage does not say
 */
export async function identifyStore({ registry, blobs }: Needed, places: StorePlaces): Promise<StoreId> {
  const facts = await gather({ registry, blobs });
  const verdict = judgeStore(facts);
  switch (verdict) {
    case 'same':
      return facts.registryId as StoreId;
    case 'take':
      return settle({ registry, blobs }, places, facts.storageId as StoreId);
    case 'give':
      return settle({ registry, blobs }, places, newId('sto', await registry.read.now()) as StoreId);
    default:
      throw new StoreRefusedError(verdict, refusal(verdict, places));
  }
}

/** @param proposed counts when the registry has no id */
async function settle({ registry, blobs }: Needed, places: StorePlaces, proposed: StoreId): Promise<StoreId> {
  const id = await registry.transaction(async ({ stores, now }) => {
    await stores.setId(proposed, await now());
    return (await stores.getId()) as StoreId;
  });
  try {
    await blobs.objects.write(STORE_KEY, onePiece(storeBytes(id)));
  } catch (error) {
    if (!isStoreError(error, 'integrity_failure')) throw error;
    // Another registry was there in the meantime.
    throw new StoreRefusedError('foreign_store', refusal('foreign_store', places));
  }
  // Not every server refuses to write over what another registry has written at this moment.
  if ((await readMark(blobs)) !== id) throw new StoreRefusedError('foreign_store', refusal('foreign_store', places));
  return id;
}

/**
 * For whoever is about to remove much: the store may have been exchanged since the start, or given to another registry.
 * @param id of the registry's store; null: it is not known yet @throws StoreError foreign_store
 */
export async function assertMarked({ blobs }: Pick<Needed, 'blobs'>, id: StoreId | null): Promise<void> {
  const found = await readMark(blobs);
  if (found !== null && found === id) return;
  const what = found === null ? `has no ${STORE_KEY}` : `has a ${STORE_KEY} that says otherwise`;
  throw new StoreError(
    'foreign_store',
    `The store ${what}: it is not the one that the service was started with, and nothing was changed. Restart the service: it then says what is wrong, or writes what was lost.`,
  );
}

async function gather({ registry, blobs }: Needed): Promise<StoreFacts> {
  const storageId = await readMark(blobs);
  const registryId = await registry.read.stores.getId();
  const sample = await registry.read.blobs.sample(SAMPLE);
  const hasPackages = await hasAny(blobs, PACKAGES_PREFIX);
  const settled = registryId !== null && storageId !== null;
  const found = settled
    ? []
    : await mapLimit(sample, SAMPLE, async ({ key, version_id, stored_size }) => {
        const stat = await blobs.objects.stat({ key: key as ObjectKey, versionId: version_id });
        return stat?.size === stored_size;
      });
  const registryInUse = sample.length > 0 || (await registry.read.packages.any());
  const isLeft = !settled && registryInUse && sample.length === 0;
  return {
    registryId,
    storageId,
    registryInUse,
    registryHolds: sample.length > 0,
    hasPackages,
    hasAnything: hasPackages || (await hasAny(blobs, OBJECTS_PREFIX)),
    hasSample: found.includes(true) || (isLeft && (await hasOwnUploads({ registry, blobs }))),
  };
}

/** Whether one of the store's first objects came by an upload of the registry's, recorded or not. */
async function hasOwnUploads({ registry, blobs }: Needed): Promise<boolean> {
  const ids: UploadId[] = [];
  for await (const { key } of blobs.objects.list(OBJECTS_PREFIX)) {
    const owner = ownerOf(key);
    if (owner?.kind === 'blob') ids.push(owner.uploadId);
    if (ids.length === SAMPLE) break;
  }
  return (await registry.read.uploads.getMany(ids)).length > 0;
}

/** What the store says of itself; null: nothing. */
export async function readMark({ objects }: WithReader): Promise<StoreFacts['storageId']> {
  const ref = { key: STORE_KEY, versionId: null };
  const stat = await objects.stat(ref);
  if (stat === null) return null;
  if (stat.size > MARK_MAX_BYTES) return 'foreign';
  return parseStore(await readSmall(objects, STORE_KEY, MARK_MAX_BYTES)) ?? 'foreign';
}

/** Whether there is a key that this software has given. */
export async function hasAny({ objects }: WithReader, prefix: string): Promise<boolean> {
  for await (const { key } of objects.list(prefix)) if (ownerOf(key) !== null) return true;
  return false;
}

const NEW_STORE = 'To begin a new store, name an empty folder, bucket or ARTIFACT_STORE_S3_PREFIX.';

function refusal(verdict: StoreRefusal, { registry, store }: StorePlaces): string {
  switch (verdict) {
    case 'foreign_store':
      return `The store (${store}) does not belong to the registry (${registry}): nothing was changed. Correct the configuration. ${NEW_STORE}`;
    case 'empty_store':
      return `The registry (${registry}) has packages, but the store (${store}) has none of their bytes: nothing was changed. Name the store that has them, or restore it from a backup.`;
    case 'registry_lost':
      return `The store (${store}) has packages, but the registry (${registry}) knows none: nothing was changed. Restore the registry from a backup, or fill an empty one from the store with \`artifact-store rebuild --from-storage\`; or correct the configuration. ${NEW_STORE}`;
  }
}

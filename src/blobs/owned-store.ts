import type { BlobStore } from './blob-store.ts';

/**
 * The same store, which changes nothing and says of no object that it is gone, or is there, before it is known that the store is the
 * registry's: what another one has, or lacks, would count as damage. @param assertOwned throws what callers are told as long as it is not
 */
export function ownedStore(store: BlobStore, assertOwned: () => void): BlobStore {
  function owned<Args extends unknown[], Result>(work: (...args: Args) => Promise<Result>) {
    return async (...args: Args): Promise<Result> => {
      assertOwned();
      return work(...args);
    };
  }
  async function* ownedList<Item>(list: () => AsyncIterable<Item>): AsyncGenerator<Item> {
    assertOwned();
    yield* list();
  }
  const { uploads, objects, locks } = store;
  return {
    ...store,
    uploads: {
      ...uploads,
      create: owned(uploads.create),
      listBegun: () => ownedList(() => uploads.listBegun()),
      listParts: owned(uploads.listParts),
      signPart: owned(uploads.signPart),
      deliverPart: owned(uploads.deliverPart),
      streamPart: owned(uploads.streamPart),
      complete: owned(uploads.complete),
      settle: owned(uploads.settle),
      abort: owned(uploads.abort),
      drop: owned(uploads.drop),
    },
    objects: {
      ...objects,
      open: owned(objects.open),
      stat: owned(objects.stat),
      list: (prefix) => ownedList(() => objects.list(prefix)),
      write: owned(objects.write),
      remove: owned(objects.remove),
      removeMany: owned(objects.removeMany),
    },
    locks: locks && { ...locks, retain: owned(locks.retain), hold: owned(locks.hold), read: owned(locks.read) },
  };
}

import type { BlobStore } from './blob-store.ts';

/**
 * The same store, which changes nothing and says of no object that it is gone before it is known that the store is the registry's.
 * @param assertOwned throws what callers are told as long as it is not
 */
export function ownedStore(store: BlobStore, assertOwned: () => void): BlobStore {
  function owned<Args extends unknown[], Result>(work: (...args: Args) => Promise<Result>) {
    return async (...args: Args): Promise<Result> => {
      assertOwned();
      return work(...args);
    };
  }
  const { uploads, objects } = store;
  return {
    ...store,
    uploads: {
      ...uploads,
      create: owned(uploads.create),
      signPart: owned(uploads.signPart),
      deliverPart: owned(uploads.deliverPart),
      streamPart: owned(uploads.streamPart),
      complete: owned(uploads.complete),
      abort: owned(uploads.abort),
      drop: owned(uploads.drop),
    },
    objects: {
      ...objects,
      stat: owned(objects.stat),
      write: owned(objects.write),
      remove: owned(objects.remove),
      removeMany: owned(objects.removeMany),
    },
  };
}

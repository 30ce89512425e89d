import type { ObjectStat } from '../blobs/blob-store.ts';
import { OBJECTS_PREFIX, type ObjectKey, ownerOf } from '../blobs/key-layout.ts';
import { timeOfId } from '../core/ids.ts';
import { mergeByKey } from '../core/merge-by-key.ts';
import { isHolding } from '../core/object-state.ts';
import { isFinal } from '../core/upload-state.ts';
import type { KeptObject } from '../registry/object-rows.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import { completionOf } from './completion.ts';
import type { Services, WithReader } from './services.ts';

const BATCH = 1_000;

/** Something in the store that no object of the registry is. */
export interface Stray {
  key: ObjectKey;
  size: number;
  /**
   * `leftover`: its bytes were refused, or its object was removed before. `abandoned`: its upload failed without a clean answer, or whoever took it
   * over recorded nothing. An older registry would say the same of what its successor had recorded, so the registry must know all packages; if it is
   * a pack, no needed bytes may be lost either. `unknown`: the registry knows of nothing that can have put it there. `unread`: the same, and it may
   * be a pack with which a registry that is gone mended what this one thinks right; that is known when all else was read since. `wanted`: it may
   * be all that a file has.
   */
  kind: 'leftover' | 'abandoned' | 'abandoned_pack' | 'unknown' | 'unread' | 'wanted';
}

export interface Comparison {
  /** Told of every key in the store. */
  seen(key: ObjectKey): void;
  /** The registry has these, the store does not, or not whole; or it has them again. */
  differing(objects: readonly KeptObject[]): Promise<void>;
  strays(strays: readonly Stray[]): Promise<void>;
  /** Not in the registry, and too young to say why. */
  young(size: number): void;
}

type Compared = Pick<Services<WithReader>, 'registry' | 'blobs'>;
type Listed = ObjectStat & { key: ObjectKey };

/**
 * Walks all objects of blobs in the store and in the registry side by side, a page of each in memory. What no version of this software
 * can have written is passed over. @param before what is younger is not judged, ms
 */
export async function compareStore(services: Compared, before: number, comparison: Comparison): Promise<void> {
  const differing = batches<KeptObject>((objects) => comparison.differing(objects));
  const strays = batches<Listed>(async (listed) => comparison.strays(await judge(services, listed)));
  const listed = services.blobs.objects.list(OBJECTS_PREFIX);
  for await (const { left: stored, right: kept } of mergeByKey(listed, keptObjects(services))) {
    if (stored !== null) comparison.seen(stored.key);
    if (kept !== null && kept.state !== 'gone') {
      if (differs(stored, kept)) await differing.add(kept);
    } else if (stored !== null && ownerOf(stored.key)?.kind === 'blob') {
      if (stored.modifiedAt > before) comparison.young(stored.size);
      else await strays.add(stored);
    }
  }
  await differing.end();
  await strays.end();
}

function differs(stored: Listed | null, { state, stored_size }: KeptObject): boolean {
  const stands = stored?.size === stored_size;
  return state === 'lost' ? stands : isHolding(state) && !stands;
}

async function* keptObjects({ registry }: Compared): AsyncGenerator<KeptObject> {
  for (let after = ''; ; ) {
    const page = await registry.read.blobs.keysAfter(after, BATCH);
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    after = last.key;
  }
}

/** What the registry says of keys that it has no object under: those of uploads that have not ended are left out. */
async function judge({ registry }: Compared, listed: readonly Listed[]): Promise<Stray[]> {
  const owned = listed.flatMap((each) => {
    const owner = ownerOf(each.key);
    return owner?.kind === 'blob' ? [{ ...each, ...owner }] : [];
  });
  const uploads = await registry.read.uploads.getMany(owned.map(({ uploadId }) => uploadId));
  const byId = new Map(uploads.map((upload) => [upload.id, upload]));
  const objects = await registry.read.blobs.statesByKey(owned.map(({ key }) => key));
  const digests = owned.map(({ digest }) => digest);
  const [needed, wanted] = [
    await registry.read.blobs.neededAmong(digests),
    await registry.read.blobs.wantedAmong(digests),
  ];
  const oldestSeen = owned.some(({ uploadId }) => nobodyCompletes(byId.get(uploadId)))
    ? await registry.read.checks.oldestSeenExactly()
    : null;
  return owned.flatMap(({ key, size, modifiedAt, uploadId, digest }): Stray[] => {
    const upload = byId.get(uploadId);
    // Recorded since the registry was read.
    if (objects.get(key) === 'kept') return [];
    if (objects.get(key) === 'gone') return [{ key, size, kind: 'leftover' }];
    // A registry did that has been replaced by an older one. That may know less of what else holds the bytes.
    if (nobodyCompletes(upload)) {
      if (needed.has(digest)) return [{ key, size, kind: 'wanted' }];
      // Planned, and completed: storage's clock and this one may differ.
      const cameAt = Math.max(timeOfId(uploadId), modifiedAt);
      const isUnread = upload?.kind !== 'blob' && oldestSeen !== null && oldestSeen < cameAt;
      return [{ key, size, kind: isUnread ? 'unread' : 'unknown' }];
    }
    if (!isFinal(upload.state)) return [];
    if (upload.state === 'failed' && completionOf(upload) === 'clean') return [{ key, size, kind: 'leftover' }];
    // One that was committed has an object, or its key is to be dropped: else the registry is not what it was.
    if (wanted.has(digest) || (upload.state === 'committed' && !upload.drop_key))
      return [{ key, size, kind: 'wanted' }];
    return [{ key, size, kind: upload.kind === 'pack' ? 'abandoned_pack' : 'abandoned' }];
  });
}

/** No upload of this registry makes an object of it. */
function nobodyCompletes(
  upload: UploadRecord | undefined,
): upload is undefined | (UploadRecord & { state: 'aborted' }) {
  return upload === undefined || upload.state === 'aborted';
}

function batches<Item>(work: (items: readonly Item[]) => Promise<void>) {
  let held: Item[] = [];
  const end = async (): Promise<void> => {
    const items = held;
    held = [];
    if (items.length > 0) await work(items);
  };
  return {
    end,
    async add(item: Item): Promise<void> {
      held.push(item);
      if (held.length === BATCH) await end();
    },
  };
}

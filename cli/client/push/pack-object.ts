import type { Digest } from '../../../src/core/digest.ts';
import { cutPackFrames, type StoredForm } from '../../../src/core/frame-table.ts';
import { PACK_FRAME_SIZE } from '../../../src/core/frame-writer.ts';
import { layoutPack, type PackMember } from '../../../src/core/pack.ts';
import { FRAME_CONTENT_MAX } from '../../../src/core/zstd-frame.ts';
import type { FileIndex, FileList } from '../tree/file-list.ts';
import { compactPack } from '../tree/pack-builder.ts';
import type { PackBytes } from '../tree/pack-memory.ts';
import { memoryObject, type SentObject } from './objects.ts';

/** As Readers.compress does it, or not at all. */
type Compress = (memory: SharedArrayBuffer, frames: readonly number[]) => Promise<StoredForm | null>;

/** An object's content at the beginning of a pack's memory. */
interface Content {
  digest: Digest;
  size: number;
  members: PackMember[] | null;
}

/**
 * What is to be sent of files that were read into a pack: all of it as it is, as a rule. Otherwise what is wanted moves
 * together; a single blob goes without a frame of tar. Then it is compressed, should that be worth it.
 * @param indexes the files of the pack, in its order
 * @param wanted some of them
 * @param pack of all of them, held
 * @returns null when none is
 */
export async function packObject(
  files: FileList,
  indexes: readonly FileIndex[],
  wanted: readonly FileIndex[],
  pack: PackBytes,
  compress: Compress,
): Promise<SentObject | null> {
  const { members, kept, size } = membersOf(files, indexes, wanted);
  if (kept.length === 0) return null;
  const arrange = (): Content =>
    kept.length === members.length && kept.length > 1
      ? { digest: pack.digest, size, members }
      : moveTogether(pack.bytes(), kept);
  const content = arrange();
  const frames =
    content.members === null ? [content.size] : cutPackFrames(content.members, content.size, PACK_FRAME_SIZE);
  const fits = frames.every((frame) => frame <= FRAME_CONTENT_MAX);
  const stored = fits ? await compress(pack.memory(), frames) : null;
  let isArranged = true;
  return memoryObject(
    { ...content, stored },
    {
      bytes: () => pack.bytes().subarray(0, (stored ?? content).size),
      async hold() {
        await pack.hold();
        if (!isArranged) arrange();
        if (!isArranged && stored !== null) await compress(pack.memory(), frames);
        isArranged = true;
      },
      release() {
        isArranged = false;
        pack.release();
      },
    },
    (about) => files.path(indexes.find((index) => files.digest(index) === about) ?? (indexes[0] as FileIndex)),
  );
}

/** Each blob of the files once, where it stands in the pack of them all, and those of them that are wanted. */
function membersOf(files: FileList, indexes: readonly FileIndex[], wanted: readonly FileIndex[]) {
  const sizes = new Map<Digest, { digest: Digest; size: number }>();
  const digests = new Set<Digest>();
  const isWanted = new Set(wanted);
  for (const index of indexes) {
    const digest = files.digest(index);
    if (!sizes.has(digest)) sizes.set(digest, { digest, size: files.size(index) });
    if (isWanted.has(index)) digests.add(digest);
  }
  const { members, size } = layoutPack(sizes.values());
  return { members, size, kept: members.filter(({ digest }) => digests.has(digest)) };
}

/** To the beginning of the memory. */
function moveTogether(pack: Buffer, members: readonly PackMember[]): Content {
  const [first] = members;
  if (first === undefined || members.length > 1) return compactPack(pack, members);
  pack.copyWithin(0, first.offset, first.offset + first.size);
  return { digest: first.digest, size: first.size, members: null };
}

import type { Digest } from '../../src/core/digest.ts';
import { layoutPack } from '../../src/core/pack.ts';
import type { FileIndex, FileList } from './file-list.ts';
import { memoryObject, type SentObject } from './objects.ts';
import { compactPack } from './pack-builder.ts';
import type { PackBytes } from './pack-memory.ts';

/**
 * What is to be sent of files that were read into a pack: all of it as it is, as a rule. Otherwise what is wanted moves
 * together; a single blob goes without a frame.
 * @param indexes the files of the pack, in its order
 * @param wanted some of them
 * @param pack of all of them, held
 * @returns null when none is
 */
export function packObject(
  files: FileList,
  indexes: readonly FileIndex[],
  wanted: readonly FileIndex[],
  pack: PackBytes,
): SentObject | null {
  const blobs = new Map<Digest, { digest: Digest; size: number; index: FileIndex }>();
  for (const index of indexes) {
    const blob = { digest: files.digest(index), size: files.size(index), index };
    if (!blobs.has(blob.digest)) blobs.set(blob.digest, blob);
  }
  const pathOf = (about: Digest) => files.path(blobs.get(about)?.index ?? (indexes[0] as FileIndex));
  const digests = new Set(wanted.map((index) => files.digest(index)));
  const { members, size } = layoutPack(blobs.values());
  const kept = members.filter((member) => digests.has(member.digest));
  const [first] = kept;
  if (first === undefined) return null;
  const release = () => pack.release();
  if (kept.length === 1) {
    const bytes = () => pack.bytes().subarray(first.offset, first.offset + first.size);
    const blob = { digest: first.digest, size: first.size, members: null };
    return memoryObject(blob, { bytes, hold: () => pack.hold(), release }, pathOf);
  }
  if (kept.length === members.length) {
    const bytes = () => pack.bytes().subarray(0, size);
    return memoryObject({ digest: pack.digest, size, members }, { bytes, hold: () => pack.hold(), release }, pathOf);
  }
  let compacted = compactPack(pack.bytes(), kept);
  let isCompact = true;
  const held = {
    bytes: () => pack.bytes().subarray(0, compacted.size),
    async hold() {
      await pack.hold();
      if (!isCompact) compacted = compactPack(pack.bytes(), kept);
      isCompact = true;
    },
    release() {
      isCompact = false;
      pack.release();
    },
  };
  return memoryObject(compacted, held, pathOf);
}

import { digestToBytes } from '../../../src/core/digest.ts';
import type { Limits } from '../../../src/core/limits.ts';
import type { FileCache } from './file-cache.ts';
import type { FileIndex, FileList } from './file-list.ts';
import type { HashedFile, Readers } from './readers.ts';

/**
 * Reads files of a list, gives them their digests, and remembers them. @param level as Readers.hash takes it
 * @returns them in the order given @throws CliError file_changed, file_unreadable
 */
export async function hashFiles(
  files: FileList,
  indexes: readonly FileIndex[],
  { readers, limits, level, cache }: { readers: Readers; limits: Limits; level: number | null; cache: FileCache },
): Promise<HashedFile[]> {
  const readAt = Date.now();
  const found = indexes.map((index) => files.at(index));
  const hashed = await readers.hash(found, limits, level);
  for (const [place, { digest, parts }] of hashed.entries()) {
    files.setDigest(indexes[place] as FileIndex, digestToBytes(digest), parts);
  }
  cache.save(files, indexes, readAt);
  return hashed;
}

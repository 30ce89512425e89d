import { digestToBytes } from '../../../src/core/digest.ts';
import type { Limits } from '../../../src/core/limits.ts';
import type { FileCache } from './file-cache.ts';
import type { FileIndex, FileList } from './file-list.ts';
import type { HashedFile, Readers } from './readers.ts';

/**
 * Reads files of a list, gives them their digests and secrets, and remembers them. @param level and scan, as Readers.hash takes them
 * @returns them in the order given @throws CliError file_changed, file_unreadable
 */
export async function hashFiles(
  files: FileList,
  indexes: readonly FileIndex[],
  {
    readers,
    limits,
    level,
    cache,
    scan,
  }: { readers: Readers; limits: Limits; level: number | null; cache: FileCache; scan: boolean },
): Promise<HashedFile[]> {
  const readAt = Date.now();
  const found = indexes.map((index) => files.at(index));
  const hashed = await readers.hash(found, limits, level, scan);
  for (const [place, { digest, parts, secrets }] of hashed.entries()) {
    const index = indexes[place] as FileIndex;
    files.setDigest(index, digestToBytes(digest), parts);
    if (secrets !== null) files.setSecrets(index, secrets);
  }
  cache.save(files, indexes, readAt);
  return hashed;
}

import { digestToBytes } from '../../src/core/digest.ts';
import type { FileCache } from './file-cache.ts';
import type { FileIndex, FileList } from './file-list.ts';
import type { Readers } from './readers.ts';

/** Reads files of a list, gives them their digests, and remembers them. @throws CliError file_changed, file_unreadable */
export async function hashFiles(
  files: FileList,
  indexes: readonly FileIndex[],
  readers: Readers,
  cache: FileCache,
): Promise<void> {
  const readAt = Date.now();
  const hashed = await readers.hash(indexes.map((index) => files.at(index)));
  for (const [place, index] of indexes.entries()) {
    const file = hashed[place];
    if (file) files.setDigest(index, digestToBytes(file.digest), file.parts);
  }
  cache.save(files, indexes, readAt);
}

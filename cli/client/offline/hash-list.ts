import { digestToBytes } from '../../../src/core/digest.ts';
import { DEFAULT_LIMITS } from '../../../src/core/limits.ts';
import { cut, forEachLimit } from '../concurrency.ts';
import type { FileIndex, FileList } from '../tree/file-list.ts';
import type { Readers } from '../tree/readers.ts';

/** Nothing is sent, so digests of parts are of no use. */
const WHOLE = { ...DEFAULT_LIMITS, single_part_max: Number.MAX_SAFE_INTEGER };
/** What stands as objects, not in columns: so many lists of so much at a time. */
const LIST = { items: 2_000, bytes: 64 * 1024 ** 2 };
const LISTS = 8;

/** Reads every file of the list that has no digest, and gives it one. @throws CliError file_changed, file_unreadable */
export async function hashList(files: FileList, readers: Readers): Promise<void> {
  readers.expect(files.unhashed());
  const lists = cut(unhashed(files), LIST, (index) => ({ items: 1, bytes: files.size(index) }));
  await forEachLimit(lists, LISTS, async (indexes) => {
    const found = indexes.map((index) => files.at(index));
    for (const [place, { digest }] of (await readers.hash(found, WHOLE)).entries()) {
      files.setDigest(indexes[place] as FileIndex, digestToBytes(digest));
    }
  });
}

function* unhashed(files: FileList): Generator<FileIndex> {
  for (let index = 0; index < files.length; index += 1) if (!files.hasDigest(index)) yield index;
}

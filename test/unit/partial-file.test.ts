import { appendFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { RANGE_SIZE } from '../../cli/client/target/file-ranges.ts';
import { OpenFolder } from '../../cli/client/target/open-folder.ts';
import { PartialFile } from '../../cli/client/target/partial-file.ts';
import { tempFolder } from '../support/temp.ts';

const SIZE = 4 * RANGE_SIZE + 5;
const NAME = 'a'.repeat(64);

/** A partial file of which these ranges arrived. */
async function partialOf(folder: string, ranges: readonly number[]): Promise<{ part: string; journal: string }> {
  const partial = PartialFile.open(OpenFolder.open(folder), NAME, SIZE);
  for (const range of partial.missing().filter(({ index }) => ranges.includes(index))) {
    partial.write(Buffer.alloc(range.size, range.index), range.offset);
    partial.rangeDone(range);
  }
  await partial.close();
  return { part: join(folder, `${NAME}.part`), journal: join(folder, `${NAME}.ranges`) };
}

function look(folder: string): { missing: number[]; resumed: number; prefix: number } {
  const partial = PartialFile.open(OpenFolder.open(folder), NAME, SIZE);
  return {
    missing: partial.missing().map(({ index }) => index),
    resumed: partial.resumedBytes,
    prefix: partial.prefix,
  };
}

test('what is journaled is not missing for the next one; the last range is as short as it is', async (t) => {
  const folder = await tempFolder(t);
  await partialOf(folder, [0, 1, 4]);
  t.deepEqual(look(folder), { missing: [2, 3], resumed: 2 * RANGE_SIZE + 5, prefix: 2 * RANGE_SIZE });
});

test('a line that a crash cut off counts for nothing, and does not run into the next', async (t) => {
  const folder = await tempFolder(t);
  const { journal } = await partialOf(folder, [0]);
  await appendFile(journal, '1');
  t.deepEqual(look(folder).missing, [1, 2, 3, 4]);
  await partialOf(folder, [3]);
  t.deepEqual(look(folder).missing, [1, 2, 4]);
});

test('ranges beyond the end of the file, and nonsense, count for nothing', async (t) => {
  const folder = await tempFolder(t);
  const { part, journal } = await partialOf(folder, [0, 1, 2]);
  await appendFile(journal, '-1\n99\nx\n\n1.5\n');
  await truncate(part, 2 * RANGE_SIZE + 7);
  t.deepEqual(look(folder).missing, [2, 3, 4]);
});

test('a journal of another size, or another form, is no journal', async (t) => {
  const folder = await tempFolder(t);
  const { journal } = await partialOf(folder, [0, 1]);
  const text = await readFile(journal, 'utf8');
  await writeFile(journal, text.replace(String(SIZE), String(SIZE + 1)));
  t.is(look(folder).resumed, 0);
  await writeFile(journal, '');
  t.is(look(folder).resumed, 0);
});

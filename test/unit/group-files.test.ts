import { globSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { loadGroup } from '../support/declared-later.ts';
import { groupFiles } from '../support/group-files.ts';
import { tempFolder } from '../support/temp.ts';
import { filePatterns, slowestFiles } from '../support/test-files.ts';

const ROOT = join(import.meta.dirname, '../..');

/** The files that a process of `npm test` loads. */
function loadedBy(path: string): string[] {
  if (!path.startsWith('test/groups/')) return [path];
  const imports = readFileSync(join(ROOT, path), 'utf8').matchAll(/^ {2}'(.+\.test\.ts)',$/gm);
  return [...imports].map(([, name]) => normalize(join(dirname(path), name as string)));
}

test('each test file is run once, however they are grouped, and those that are slow by themselves', (t) => {
  const alone = slowestFiles();
  // As `npm test` has written them: another choice could be written over what runs.
  const patterns = filePatterns({}, []);
  const run = groupFiles(patterns, new Set(alone));
  const leftOut = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1));
  const all = globSync('test/**/*.test.ts', { cwd: ROOT, exclude: leftOut });
  t.deepEqual(run.flatMap(loadedBy).toSorted(), all.toSorted());
  for (const file of alone) t.true(run.includes(file), file);
});

test('a file of a group that has no tests is refused, as ava refuses one by itself', async (t) => {
  const folder = await tempFolder(t);
  await writeFile(join(folder, 'empty.test.mjs'), 'export {};\n');
  await t.throwsAsync(loadGroup(['./empty.test.mjs'], pathToFileURL(`${folder}/group.mjs`).href), {
    message: 'No tests found in ./empty.test.mjs',
  });
});

import { globSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Where the groups are written: ava takes files of the project alone. */
const GROUPS = 'test/groups';
/** Of each folder, files of one process. A file of a service costs more to load than most of its tests, one of a unit has hardly any. */
const AT_MOST: Record<string, number> = {
  'test/unit': 12,
  'test/http': 4,
  'test/cli': 4,
  'test/ceph': 4,
  'test/postgres': 4,
};
/** Hooks for each test, and a context, are those of all tests of a process. */
const HAS_CONTEXT = /\bt\.context = |\.(before|after)Each\b/;

/**
 * Writes files that each load a few test files, which then run in one process: half of what a test file costs is its process, and loading
 * what it tests.
 * @param patterns of test files, of ava's configuration
 * @param alone files that are not grouped: they take longer than what they load
 * @returns files to run in the place of all
 */
export function groupFiles(patterns: readonly string[], alone: ReadonlySet<string>): string[] {
  const exclude = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1));
  const wanted = patterns.filter((pattern) => !pattern.startsWith('!'));
  const files = globSync(wanted, { cwd: ROOT, exclude }).toSorted();
  const isGrouped = (file: string): boolean =>
    dirname(file) in AT_MOST && !alone.has(file) && !HAS_CONTEXT.test(readFileSync(join(ROOT, file), 'utf8'));
  mkdirSync(join(ROOT, GROUPS), { recursive: true });
  const groups = Object.entries(AT_MOST).flatMap(([folder, most]) =>
    inChunks(
      files.filter((file) => dirname(file) === folder && isGrouped(file)),
      most,
    ).map((chunk) => writeGroup(folder, chunk)),
  );
  for (const name of readdirSync(join(ROOT, GROUPS))) {
    if (!groups.includes(join(GROUPS, name))) rmSync(join(ROOT, GROUPS, name));
  }
  return [...files.filter((file) => !isGrouped(file)), ...groups];
}

/** As evenly as it goes. */
function inChunks(files: readonly string[], most: number): string[][] {
  const count = Math.ceil(files.length / most);
  return Array.from({ length: count }, (_, nth) =>
    files.slice(Math.round((nth * files.length) / count), Math.round(((nth + 1) * files.length) / count)),
  );
}

/** @returns its path, which ava shows before each title: it names the first and the last of them */
function writeGroup(folder: string, files: readonly string[]): string {
  const names = files.map((file) => basename(file, '.test.ts'));
  const path = join(GROUPS, `${basename(folder)}: ${names.at(0)} to ${names.at(-1)}.test.ts`);
  const list = names.map((name) => `  '../${basename(folder)}/${name}.test.ts',`);
  const load = `import { loadGroup } from '../support/declared-later.ts';`;
  const lines = [load, 'await loadGroup([', ...list, '], import.meta.url);', ''];
  writeFileSync(join(ROOT, path), lines.join('\n'));
  return path;
}

import { copyFile, cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type Bundled, bundle } from '../../scripts/bundle.ts';
import { BUILT_VARIABLE } from './command.ts';
import { tempFolder } from './temp.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** Beside the bundle of a run. */
const LIST = 'dist.json';

/**
 * The command line as an installation has it, in a folder of the test: run from its sources, Node needs 25 MB more.
 * @returns the path of bin.js
 */
export async function builtBin(t: ExecutionContext): Promise<string> {
  return join((await buildInto(await tempFolder(t))).dist, 'cli/bin.js');
}

/** Where `buildInto` has put it. */
export function builtIn(folder: string): string {
  return join(folder, 'dist');
}

/** Puts the bundle into a folder, as a package that is installed there. @returns where it is, and what stands in which file */
export async function buildInto(folder: string): Promise<{ dist: string; files: Bundled[] }> {
  const dist = builtIn(folder);
  await mkdir(join(folder, 'node_modules'));
  await copyFile(join(ROOT, 'package.json'), join(folder, 'package.json'));
  await symlink(join(ROOT, 'node_modules/better-sqlite3'), join(folder, 'node_modules/better-sqlite3'));
  const { [BUILT_VARIABLE]: built } = process.env;
  if (!built) return { dist, files: await bundle(dist) };
  await cp(builtIn(built), dist, { recursive: true });
  return { dist, files: JSON.parse(await readFile(join(built, LIST), 'utf8')) };
}

/** For all test files of a run. @param folder as deep as that of a test: maps name sources from where they are */
export async function buildForRun(folder: string): Promise<void> {
  const { files } = await buildInto(folder);
  await writeFile(join(folder, LIST), JSON.stringify(files));
}

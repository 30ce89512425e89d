import { copyFile, mkdir, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type Bundled, bundle } from '../../scripts/bundle.ts';
import { tempFolder } from './temp.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/**
 * The command line as an installation has it, built for this test alone: run from its sources, Node needs 25 MB more.
 * @returns the path of bin.js
 */
export async function builtBin(t: ExecutionContext): Promise<string> {
  return join((await buildInto(await tempFolder(t))).dist, 'cli/bin.js');
}

/** Builds the bundle into a folder, as a package that is installed there. @returns where it is, and what stands in which file */
export async function buildInto(folder: string): Promise<{ dist: string; files: Bundled[] }> {
  const dist = join(folder, 'dist');
  await mkdir(join(folder, 'node_modules'));
  await copyFile(join(ROOT, 'package.json'), join(folder, 'package.json'));
  await symlink(join(ROOT, 'node_modules/better-sqlite3'), join(folder, 'node_modules/better-sqlite3'));
  return { dist, files: await bundle(dist) };
}

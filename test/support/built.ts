import { execFile } from 'node:child_process';
import { copyFile, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { tempFolder } from './temp.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/**
 * The command line as an installation has it, built for this test alone: run from its sources, Node needs 25 MB more.
 * @returns the path of bin.js
 */
export async function builtBin(t: ExecutionContext): Promise<string> {
  const dir = await tempFolder(t);
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  await promisify(execFile)(tsc, ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(dir, 'dist')]);
  await copyFile(join(ROOT, 'package.json'), join(dir, 'package.json'));
  await symlink(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  return join(dir, 'dist/cli/bin.js');
}

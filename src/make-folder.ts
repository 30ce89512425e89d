import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder, and those above it that are missing, each tried twice at most; they stay after a power cut. Node's own
 * recursive mkdir never ends where a folder is there and answers ENOENT all the same, as those of /proc do.
 * @param mode of every folder that is made
 * @throws as the system says it: EEXIST or ENOTDIR where something else stands
 */
export function makeFolder(path: string, mode = 0o777): void {
  const problem = tryToMake(path, mode);
  if (problem === null) return;
  const above = dirname(path);
  if (problem.code !== 'ENOENT' || above === path) throw problem;
  makeFolder(above, mode);
  const again = tryToMake(path, mode);
  if (again !== null) throw again;
}

/** @returns why there is no folder now */
function tryToMake(path: string, mode: number): NodeJS.ErrnoException | null {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    return isFolder(path) ? null : (error as NodeJS.ErrnoException);
  }
  syncNames(dirname(path));
  return null;
}

/** As far as this user may: a folder that one may write in need not be one that one may read. */
function syncNames(folder: string): void {
  let fd: number;
  try {
    fd = openSync(folder, 'r');
  } catch {
    return;
  }
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

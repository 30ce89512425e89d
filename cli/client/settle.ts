import { execFile } from 'node:child_process';
import { closeSync, constants, fdatasync, openSync } from 'node:fs';
import { basename } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { forEachLimit } from './concurrency.ts';
import type { OpenFolder } from './open-folder.ts';
import type { OpenTree } from './open-tree.ts';

/** So many are synced one by one sooner than the whole file system, in which others write too. */
const FEW_FILES = 200;
const AT_ONCE = 16;

/**
 * Brings files that were written, and their names, to the disk: after this a power cut takes nothing of them. Many go with
 * their whole file system, in one call: one by one, 10,000 of them take as long again as the pull took.
 */
export async function settle(tree: OpenTree, paths: readonly string[], signal: AbortSignal): Promise<void> {
  if (paths.length === 0) return;
  if (paths.length > FEW_FILES && (await syncFileSystem(tree.root, signal))) return;
  await forEachLimit(paths, AT_ONCE, async (path) => {
    signal.throwIfAborted();
    await syncFile(tree, path);
  });
  for (const folder of tree.usedFolders()) {
    folder.sync();
    await turn();
  }
}

/** syncfs(2), which Node lacks, by the program that every Linux has. @returns false where that cannot be done */
async function syncFileSystem(root: OpenFolder, signal: AbortSignal): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  try {
    await promisify(execFile)('sync', ['-f', '.'], { cwd: root.at('.'), signal });
    return true;
  } catch {
    signal.throwIfAborted();
    // No such program, or an old one; and bytes that could not be written make the syncing of their file fail, too.
    return false;
  }
}

/** One that is not there was damaged in the store. */
async function syncFile(tree: OpenTree, path: string): Promise<void> {
  const folder = tree.find(path);
  if (!folder?.look(basename(path))?.isFile()) return;
  const fd = openSync(folder.at(basename(path)), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    await promisify(fdatasync)(fd);
  } finally {
    closeSync(fd);
  }
}

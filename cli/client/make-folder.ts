import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf } from './errno.ts';

/**
 * Makes a folder, and those above it that are missing, which stay after a power cut. Node's own `recursive` never ends where a
 * folder that is there answers ENOENT, as /proc does.
 */
export function makeFolder(path: string): void {
  if (isThere(path)) return;
  makeFolder(dirname(path));
  make(path);
}

/** Made, or found. @returns false: the folder above it is missing */
function isThere(path: string): boolean {
  try {
    make(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return true;
    if (codeOf(error) === 'ENOENT' && dirname(path) !== path) return false;
    throw error;
  }
}

function make(path: string): void {
  mkdirSync(path);
  syncNames(dirname(path));
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

import { type StatsFs, statfsSync } from 'node:fs';
import type { OpenFolder } from './open-folder.ts';

/**
 * statfs(2): file systems that take for a file at least as many bytes as it has. Others compress, or say nothing that holds
 * (overlays, networks): there only writing shows what fits.
 */
const KEEPS_ALL = new Set([0xef53 /* ext */, 0x58465342 /* xfs */, 0x01021994 /* tmpfs */]);
/** Smaller files may be kept where their names are. */
const COUNTED_MIN = 4_096;

/** What this user can still write there. */
export interface FreeSpace {
  bytes: number;
  /** No other file can be made, whatever its size: the inodes are used up. */
  noFiles: boolean;
}

/** Null when the system does not tell. */
export function freeSpace(folder: OpenFolder): FreeSpace | null {
  const space = spaceOf(folder);
  // Some file systems have no number of files, and say 0 of 0.
  return space && { bytes: space.bavail * space.bsize, noFiles: space.files > 0 && space.ffree === 0 };
}

/**
 * Whether there is surely too little room for these files; else they fit, or nobody knows.
 * @param there bytes of them that are on the disk already
 */
export function isSurelyTooSmall(folder: OpenFolder, files: ReadonlyArray<{ size: number }>, there: number): boolean {
  const space = spaceOf(folder);
  if (space === null || !KEEPS_ALL.has(space.type)) return false;
  // Includes the space reserved for root: the caller may be root.
  return surelyTaken(files) - there > space.bfree * space.bsize;
}

/** Files of the same bytes may share them. */
function surelyTaken(files: ReadonlyArray<{ size: number }>): number {
  return files.reduce((sum, { size }) => sum + (size < COUNTED_MIN ? 0 : size), 0);
}

function spaceOf(folder: OpenFolder): StatsFs | null {
  try {
    return statfsSync(folder.at('.'));
  } catch {
    return null;
  }
}

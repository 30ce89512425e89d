import { fchmodSync, fstatSync, fsyncSync, futimesSync, readSync, writeSync } from 'node:fs';

const STEP = 1024 ** 2;

/** Copies an open file into another one, which was made for it, with mode and times, and to the disk. */
export function copyBytes(from: number, to: number): void {
  const buffer = Buffer.allocUnsafe(STEP);
  for (let at = 0, count = 1; count > 0; at += count) {
    count = readSync(from, buffer, 0, STEP, at);
    for (let done = 0; done < count; ) done += writeSync(to, buffer, done, count - done);
  }
  const { mode, atime, mtime } = fstatSync(from);
  fchmodSync(to, mode & 0o777);
  futimesSync(to, atime, mtime);
  fsyncSync(to);
}

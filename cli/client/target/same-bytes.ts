import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

const STEP = 1024 ** 2;

/** Do two regular files hold the same bytes? Neither may be a symlink. */
export function sameBytes(one: string, other: string): boolean {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const first = openSync(one, flags);
  try {
    const second = openSync(other, flags);
    try {
      return fstatSync(second).isFile() && fstatSync(first).size === fstatSync(second).size && sameFrom(first, second);
    } finally {
      closeSync(second);
    }
  } finally {
    closeSync(first);
  }
}

function sameFrom(first: number, second: number): boolean {
  const [a, b] = [Buffer.allocUnsafe(STEP), Buffer.allocUnsafe(STEP)];
  for (let at = 0; ; ) {
    const count = readSync(first, a, 0, STEP, at);
    // Neither may go on where the other one ends: they may grow since their sizes were asked for.
    if (count === 0) return readSync(second, b, 0, 1, at) === 0;
    if (readSync(second, b, 0, count, at) !== count || a.compare(b, 0, count, 0, count) !== 0) return false;
    at += count;
  }
}

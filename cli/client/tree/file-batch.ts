import type { FileIdentity } from './local-file.ts';
import type { ReadJob } from './read-whole.ts';

/**
 * Files to be read, in columns: two thousand of them cross to a thread as three buffers, and no object stands for a file while
 * its pack is sent, which the collector would have to move.
 */
export interface FileBatch {
  root: string;
  /** Where each file is, below the root or absolute: UTF-8, one after the other. */
  paths: Uint8Array<ArrayBuffer>;
  /** Where each path ends in `paths`. */
  ends: Uint32Array<ArrayBuffer>;
  identities: Identities;
}

/** Of each file IDENTITY_FIELDS: dev, ino, size, mtime, ctime (nanoseconds). */
export type Identities = BigInt64Array<ArrayBuffer>;

export const IDENTITY_FIELDS = 5;
export const [DEV, INO, SIZE, MTIME, CTIME] = [0, 1, 2, 3, 4] as const;

export function identityAt(identities: Identities, place: number): FileIdentity {
  const at = place * IDENTITY_FIELDS;
  const field = (which: number) => identities[at + which] as bigint;
  return { dev: field(DEV), ino: field(INO), size: field(SIZE), mtimeNs: field(MTIME), ctimeNs: field(CTIME) };
}

/** The files of a batch, each made when it is its turn. */
export function* filesOf({ root, paths, ends, identities }: FileBatch): Generator<ReadJob> {
  const text = Buffer.from(paths.buffer, paths.byteOffset, paths.length);
  let start = 0;
  for (let place = 0; place < ends.length; place += 1) {
    const end = ends[place] as number;
    const path = text.toString('utf8', start, end);
    yield { absolute: path.startsWith('/') ? path : `${root}/${path}`, identity: identityAt(identities, place) };
    start = end;
  }
}

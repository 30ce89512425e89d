import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Digest, digestFromBytes } from '../../../src/core/digest.ts';
import { sha256sumLine } from '../../../src/core/manifest.ts';
import type { FileList } from '../tree/file-list.ts';

/** So many lines are hashed before anything else may be done. */
const LINES = 10_000;

/** Of the list that the service gives of a package of exactly these files (`manifest?format=sha256sum`). All have a digest. */
export async function filesDigest(files: FileList): Promise<Digest> {
  const hash = createHash('sha256');
  for (let start = 0; start < files.length; start += LINES) {
    const end = Math.min(start + LINES, files.length);
    let lines = '';
    for (let index = start; index < end; index += 1) {
      lines += sha256sumLine(files.hexDigest(index), files.path(index));
    }
    hash.update(lines);
    await nextTurn();
  }
  return digestFromBytes(hash.digest());
}

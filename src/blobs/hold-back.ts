import { createHash } from 'node:crypto';
import { digestFromBytes } from '../core/digest.ts';
import type { WriteRules } from './private-file.ts';

export type CheckRules = Required<Pick<WriteRules, 'checkSize' | 'checkBytes'>>;

/**
 * Passes bytes on that must be certain ones. The last chunk is held back until all of them were hashed: of other bytes nobody
 * gets them all. Chunks must stay as they are until the one after the next is asked for. @throws what the rules throw
 */
export async function* holdBack(
  chunks: AsyncIterable<Uint8Array>,
  { checkSize, checkBytes }: CheckRules,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let size = 0;
  let held: Uint8Array | null = null;
  for await (const chunk of chunks) {
    size += chunk.length;
    checkSize(size);
    hash.update(chunk);
    if (held !== null) yield held;
    held = chunk;
  }
  checkBytes(size, digestFromBytes(hash.digest()));
  if (held !== null) yield held;
}

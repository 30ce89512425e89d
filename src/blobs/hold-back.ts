import { createHash } from 'node:crypto';
import { digestFromBytes } from '../core/digest.ts';
import type { WriteRules } from './private-file.ts';

export type CheckRules = Required<Pick<WriteRules, 'checkSize' | 'checkBytes'>>;

/**
 * Passes on bytes that must have a certain digest. Holds the last chunk back until all bytes were hashed, so that nobody gets
 * all of the wrong ones. A chunk must not change until the one after the next is asked for. @throws what the rules throw
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

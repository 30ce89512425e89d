import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { type Digest, digestFromBytes } from '../core/digest.ts';

/** Pieces of streams, told apart by number. `forget` follows whatever has happened to a stream. */
export type ToDigestThread = { id: number } & ({ bytes: Uint8Array } | { end: true } | { forget: true });
export type FromDigestThread = { id: number } & ({ taken: true } | { digest: Digest });

const hashes = new Map<number, Hash>();

function hashOf(id: number): Hash {
  let hash = hashes.get(id);
  if (!hash) {
    hash = createHash('sha256');
    hashes.set(id, hash);
  }
  return hash;
}

function answer(message: FromDigestThread): void {
  parentPort?.postMessage(message);
}

parentPort?.on('message', (message: ToDigestThread) => {
  const { id } = message;
  if ('bytes' in message) {
    hashOf(id).update(message.bytes);
    answer({ id, taken: true });
  } else if ('end' in message) {
    answer({ id, digest: digestFromBytes(hashOf(id).digest()) });
  } else {
    hashes.delete(id);
  }
});

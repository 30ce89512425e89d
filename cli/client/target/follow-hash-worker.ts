import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { FollowAnswer, FollowOrder } from './follow-hash.ts';

/** A thread of FollowHash. File descriptors are the process's, so an open file needs no second opening. */
const files = new Map<number, { hash: Hash; done: number }>();
const buffer = Buffer.allocUnsafeSlow(1024 ** 2);

parentPort?.on('message', (order: FollowOrder) => {
  const answer = follow(order);
  if (answer) parentPort?.postMessage(answer);
});

/** A file that cannot be read is told of at its end; until then nobody asks. */
function follow({ id, fd, upTo, end }: FollowOrder): FollowAnswer | null {
  const file = files.get(id) ?? { hash: createHash('sha256'), done: 0 };
  files.set(id, file);
  try {
    while (file.done < upTo) {
      const count = readSync(fd, buffer, 0, Math.min(buffer.length, upTo - file.done), file.done);
      if (count === 0) break;
      file.hash.update(buffer.subarray(0, count));
      file.done += count;
    }
    if (!end) return null;
    files.delete(id);
    return { id, sha256: file.hash.digest('hex') };
  } catch (error) {
    if (!end) return null;
    files.delete(id);
    return { id, error: (error as Error).message };
  }
}

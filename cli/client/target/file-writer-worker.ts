import { parentPort, workerData } from 'node:worker_threads';
import type { WriteAnswer, WriteOrder, WriterData } from './file-writer-messages.ts';
import { OpenFolder } from './open-folder.ts';
import { OpenTree } from './open-tree.ts';
import { Placement } from './placement.ts';

/** The thread of FileWriter. */
const { root, private: own, prefix, stop } = workerData as WriterData;
const tree = OpenTree.of(root);
const placement = new Placement({ tree, private: OpenFolder.of(own), prefix });

function writeAll({ block, files }: WriteOrder): number {
  for (const [index, { place, offset, size }] of files.entries()) {
    if (Atomics.load(stop, 0) !== 0) return index;
    try {
      placement.write(place, block.subarray(offset, offset + size));
    } catch {
      return index;
    }
  }
  return files.length;
}

parentPort?.on('message', (order: WriteOrder) => {
  const { block } = order;
  const done = writeAll(order);
  const answer: WriteAnswer = { block, done, used: tree.takeUsed() };
  parentPort?.postMessage(answer, [block.buffer]);
});

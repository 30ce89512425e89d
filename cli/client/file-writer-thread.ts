import { parentPort, workerData } from 'node:worker_threads';
import type { BlockFile } from './file-writer.ts';
import { Placement, type PlacementFolders } from './placement.ts';

/** The block comes back to be filled again. */
export interface WriteOrder {
  block: Uint8Array<ArrayBuffer>;
  files: readonly BlockFile[];
}

export interface WriteAnswer {
  block: Uint8Array<ArrayBuffer>;
  /** So many of the files have their names; the next one could not be written, and those behind it were not tried. */
  done: number;
}

/** The thread of FileWriter. */
const placement = new Placement(workerData as PlacementFolders);

function writeAll({ block, files }: WriteOrder): number {
  for (const [index, { place, offset, size }] of files.entries()) {
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
  const answer: WriteAnswer = { block, done: writeAll(order) };
  parentPort?.postMessage(answer, [block.buffer]);
});

import { parentPort, workerData } from 'node:worker_threads';
import type { BlockFile } from './file-writer.ts';
import { Placement, type PlacementFolders } from './placement.ts';

export interface WriterData {
  folders: PlacementFolders;
  /** Not 0: no other file is begun. */
  stop: Int32Array<SharedArrayBuffer>;
}

/** The block comes back to be filled again. */
export interface WriteOrder {
  block: Uint8Array<ArrayBuffer>;
  files: readonly BlockFile[];
}

export interface WriteAnswer {
  block: Uint8Array<ArrayBuffer>;
  /** So many of the files have their names. The next one could not be written, or was not to be; those behind it were not tried. */
  done: number;
}

/** The thread of FileWriter. */
const { folders, stop } = workerData as WriterData;
const placement = new Placement(folders);

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
  const answer: WriteAnswer = { block, done: writeAll(order) };
  parentPort?.postMessage(answer, [block.buffer]);
});

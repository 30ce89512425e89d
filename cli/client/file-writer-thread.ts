import { parentPort, workerData } from 'node:worker_threads';
import type { BlockFile } from './file-writer.ts';
import { type FolderHandle, OpenFolder } from './open-folder.ts';
import { OpenTree, type UsedFolder } from './open-tree.ts';
import { Placement } from './placement.ts';

export interface WriterData {
  /** Handles are the process's; those of the root and of the private folder are closed by whoever opened them. */
  root: FolderHandle;
  private: FolderHandle;
  prefix: string;
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
  /** Folders that it wrote in, and had not told of. */
  used: UsedFolder[];
}

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

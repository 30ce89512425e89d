import type { FolderHandle } from './open-folder.ts';
import type { UsedFolder } from './open-tree.ts';
import type { Place } from './placement.ts';

/** What FileWriter and its thread say to each other. */

/** A file in a block. */
export interface BlockFile {
  place: Place;
  offset: number;
  size: number;
}

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

import type { FileIndex, FileList } from '../tree/file-list.ts';

const NOBODY = -1;

/** Which files' bytes a push sends: the first of each digest. An open-addressing table of places, four bytes each. */
export class DigestClaims {
  readonly #files: FileList;
  readonly #owners: Int32Array;

  constructor(files: FileList) {
    this.#files = files;
    // A power of two, at most half full.
    this.#owners = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(2, files.length * 2)))).fill(NOBODY);
  }

  /** @returns false when another file with the same digest was first, or this one before */
  claim(index: FileIndex): boolean {
    const mask = this.#owners.length - 1;
    for (let place = this.#files.digestStart(index) & mask; ; place = (place + 1) & mask) {
      const owner = this.#owners[place] as FileIndex;
      if (owner === NOBODY) {
        this.#owners[place] = index;
        return true;
      }
      if (this.#files.sameDigest(owner, index)) return false;
    }
  }
}

import { ANCHOR_REACH, AnchorSearch } from './anchor-search.ts';

/** As finely it is remembered where anchors stand: a bit for so many bytes, whatever the file's size. */
const BLOCK = 4 * 1024;
/** Blocks that are looked at in one go. */
const BLOCKS_TOGETHER = 8;
/** A file with a NUL in so many first bytes is binary. */
const LOOK_FOR_NUL = 8 * 1024;

/** Bytes of a file, from `start` to before `end`. */
export interface Span {
  start: number;
  end: number;
}

/** Looks through files for anchors: made once for all of them. */
export function newSuspicion(search = new AnchorSearch()): (size: number) => Suspicion {
  return (size) => new Suspicion(search, size);
}

/** Where a file, whose bytes are seen once, has to be read again and looked at by the rules. */
export class Suspicion {
  readonly #search: AnchorSearch;
  readonly #size: number;
  /** A bit for each block; null: none has an anchor. */
  #blocks: Uint8Array | null = null;
  #done = 0;
  #binary = false;
  /** The last bytes of what was seen, where more follows. */
  #tail: Buffer = Buffer.alloc(0);

  constructor(search: AnchorSearch, size: number) {
    this.#search = search;
    this.#size = size;
  }

  /** The file's next bytes. */
  take(piece: Buffer): void {
    if (this.#done === 0) this.#binary = piece.subarray(0, LOOK_FOR_NUL).includes(0);
    if (this.#binary) return;
    const start = this.#done;
    this.#search.search(piece, (at) => this.#mark(start + at));
    if (this.#tail.length > 0) {
      const border = Buffer.concat([this.#tail, piece.subarray(0, ANCHOR_REACH)]);
      const borderStart = start - this.#tail.length;
      this.#search.search(border, (at) => this.#mark(borderStart + at));
    }
    this.#done += piece.length;
    if (this.#done < this.#size) this.#keepTail(piece);
  }

  /** None when no rule can find anything. */
  spans(): Span[] {
    const spans: Span[] = [];
    const blocks = Math.ceil(this.#size / BLOCK);
    for (let block = 0; this.#blocks !== null && block < blocks; block += 1) {
      if (!this.#isMarked(block)) continue;
      const first = block;
      while (block + 1 < blocks && block + 1 < first + BLOCKS_TOGETHER && this.#isMarked(block + 1)) block += 1;
      spans.push({ start: first * BLOCK, end: Math.min((block + 1) * BLOCK, this.#size) });
    }
    return spans;
  }

  /** Pieces may be shorter than what has to be kept. */
  #keepTail(piece: Buffer): void {
    const kept = piece.length >= ANCHOR_REACH ? piece : Buffer.concat([this.#tail, piece]);
    this.#tail = Buffer.from(kept.subarray(-ANCHOR_REACH));
  }

  #mark(at: number): void {
    this.#blocks ??= new Uint8Array(Math.ceil(this.#size / BLOCK / 8));
    const block = Math.floor(at / BLOCK);
    this.#blocks[block >>> 3] = (this.#blocks[block >>> 3] as number) | (1 << (block & 7));
  }

  #isMarked(block: number): boolean {
    return (((this.#blocks?.[block >>> 3] as number) >>> (block & 7)) & 1) === 1;
  }
}

/** A line of a text, or the beginning of one that is longer than what is shown at once. */
export interface CutLine {
  /** Without its line break. */
  bytes: Uint8Array;
  /** Byte of the text at which it begins. */
  at: number;
  /** From 1 on. */
  number: number;
  /** Its end, and a line break, were there. */
  whole: boolean;
}

const LF = 0x0a;
const CR = 0x0d;

/**
 * Cuts bytes that come in pieces into lines. A line is kept up to `most` bytes; what is behind that is passed over, so that memory does
 * not depend on what comes.
 */
export class LineCutter {
  readonly #most: number;
  #number: number;
  #at: number;
  #next: number;
  #kept: Uint8Array[] = [];
  #length = 0;

  /** @param at byte at which the first piece begins @param number of the line that begins there */
  constructor(most: number, at = 0, number = 1) {
    this.#most = most;
    this.#at = at;
    this.#next = at;
    this.#number = number;
  }

  /** The lines that end in this piece. */
  *take(piece: Uint8Array): Generator<CutLine> {
    for (let from = 0; from < piece.length; ) {
      const end = piece.indexOf(LF, from);
      const to = end === -1 ? piece.length : end;
      this.#keep(piece.subarray(from, to));
      this.#next += to - from;
      from = to;
      if (end === -1) return;
      from += 1;
      this.#next += 1;
      yield this.#line(true);
    }
  }

  /** What came behind the last line break; null: nothing. */
  rest(): CutLine | null {
    return this.#next === this.#at ? null : this.#line(false);
  }

  /** The byte behind all that came, and the number of the line that it is in. */
  get place(): { at: number; line: number } {
    return { at: this.#at, line: this.#number };
  }

  #keep(bytes: Uint8Array): void {
    const room = this.#most - this.#length;
    if (room <= 0) return;
    const kept = bytes.subarray(0, room);
    this.#kept.push(kept);
    this.#length += kept.length;
  }

  #line(whole: boolean): CutLine {
    const all = Buffer.concat(this.#kept);
    const bytes = whole && all.at(-1) === CR ? all.subarray(0, -1) : all;
    const line = { bytes, at: this.#at, number: this.#number, whole };
    this.#kept = [];
    this.#length = 0;
    this.#at = this.#next;
    this.#number += 1;
    return line;
  }
}

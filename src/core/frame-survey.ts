import { type FrameTable, frameSizeMax } from './frame-table.ts';
import { decompressFrame, FrameError } from './zstd-frame.ts';

/** Content that could not be got out of its frame: so many bytes. */
export interface FrameHole {
  size: number;
}

/**
 * Decodes an object in frames as FrameDecoder does, and goes on behind a frame that is not right: each stands by itself, and where
 * it stands the table says. Memory: one frame and what it decompresses to.
 */
export class FrameSurvey {
  readonly #table: FrameTable;
  readonly #seekTable: Buffer;
  #index = 0;
  #held: Buffer[] = [];
  #heldSize = 0;
  #tableBytes = 0;
  #wrong: string | null = null;

  private constructor(table: FrameTable) {
    this.#table = table;
    this.#seekTable = table.seekTable();
  }

  static of(table: FrameTable): FrameSurvey {
    return new FrameSurvey(table);
  }

  /** What is wrong behind the frames, half a sentence. */
  get wrong(): string | null {
    return this.#wrong;
  }

  /** Take all of it before the next `write`. */
  *write(chunk: Uint8Array): Generator<Uint8Array | FrameHole> {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    while (rest.length > 0 && this.#index < this.#table.length) {
      const { stored, logical } = this.#table.at(this.#index);
      const taken = rest.subarray(0, stored - this.#heldSize);
      rest = rest.subarray(taken.length);
      // A copy: the chunk may be reused when `write` is over. What no frame can be need not be held.
      if (stored <= frameSizeMax(logical)) this.#held.push(taken.length === stored ? taken : Buffer.from(taken));
      this.#heldSize += taken.length;
      if (this.#heldSize === stored) yield this.#decode();
    }
    if (rest.length > 0) this.#takeTable(rest);
  }

  /** What is missing of the frames. */
  *end(): Generator<FrameHole> {
    if (this.#index < this.#table.length) this.#wrong ??= 'ends inside its frames';
    else if (this.#tableBytes < this.#seekTable.length) this.#wrong ??= 'ends inside its seek table';
    for (; this.#index < this.#table.length; this.#index += 1) yield { size: this.#table.at(this.#index).logical };
  }

  #decode(): Uint8Array | FrameHole {
    const { logical } = this.#table.at(this.#index);
    const bytes = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldSize = 0;
    this.#index += 1;
    try {
      return decompressFrame(bytes, logical);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      return { size: logical };
    }
  }

  #takeTable(bytes: Buffer): void {
    const expected = this.#seekTable.subarray(this.#tableBytes, this.#tableBytes + bytes.length);
    this.#tableBytes += bytes.length;
    if (expected.length < bytes.length) this.#wrong ??= 'continues after its end';
    else if (!expected.equals(bytes)) this.#wrong ??= 'has a seek table that does not match its frames';
  }
}

import type { FrameTable } from './frame-table.ts';
import { decompressFrame, FrameError } from './zstd-frame.ts';

/**
 * Turns the stored bytes of an object in the seekable zstd format into its content, frame by frame, as they come. Memory: one
 * frame and what it decompresses to, whatever the object's size.
 */
export class FrameDecoder {
  readonly #table: FrameTable;
  readonly #last: number;
  /** Behind the frames: null when the read ends with a frame. */
  readonly #seekTable: Buffer | null;
  #index: number;
  /** What has come of the frame that is not complete. */
  #held: Buffer[] = [];
  #heldSize = 0;
  #tableBytes = 0;

  private constructor(table: FrameTable, first: number, last: number, seekTable: Buffer | null) {
    this.#table = table;
    this.#index = first;
    this.#last = last;
    this.#seekTable = seekTable;
  }

  /** For all bytes of an object, the seek table at its end included. */
  static whole(table: FrameTable): FrameDecoder {
    return new FrameDecoder(table, 0, table.length - 1, table.seekTable());
  }

  /** For the bytes of some frames, and no others. */
  static frames(table: FrameTable, first: number, last: number): FrameDecoder {
    return new FrameDecoder(table, first, last, null);
  }

  /**
   * Yields the content of each frame that these bytes complete. Take all of it before the next `write`.
   * @throws FrameError naming the frame by its logical offset
   */
  *write(chunk: Uint8Array): Generator<Buffer> {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    while (rest.length > 0) {
      if (this.#index > this.#last) {
        this.#takeTable(rest);
        return;
      }
      const frame = this.#table.at(this.#index);
      const taken = rest.subarray(0, frame.stored - this.#heldSize);
      rest = rest.subarray(taken.length);
      if (taken.length === frame.stored) {
        yield this.#decode(taken);
        continue;
      }
      // A copy: the chunk may be reused when `write` is over.
      this.#held.push(Buffer.from(taken));
      this.#heldSize += taken.length;
      if (this.#heldSize < frame.stored) continue;
      const bytes = Buffer.concat(this.#held, this.#heldSize);
      this.#held = [];
      this.#heldSize = 0;
      yield this.#decode(bytes);
    }
  }

  /**
   * A range of the content, out of the stored bytes of the frames that hold it.
   * @throws FrameError as `write` and `end` do; what the stream throws
   */
  async *range(
    stored: AsyncIterable<Uint8Array>,
    { offset, size }: { offset: number; size: number },
  ): AsyncGenerator<Buffer> {
    let skip = offset - this.#table.at(this.#index).logicalAt;
    let left = size;
    for await (const chunk of stored) {
      for (const content of this.write(chunk)) {
        const wanted = content.subarray(skip, skip + left);
        skip = Math.max(0, skip - content.length);
        left -= wanted.length;
        if (wanted.length > 0) yield wanted;
      }
    }
    this.end();
  }

  /** @throws FrameError when bytes are missing */
  end(): void {
    if (this.#index <= this.#last) {
      throw new FrameError(`ends inside the frame at ${this.#table.at(this.#index).logicalAt}`);
    }
    if (this.#seekTable !== null && this.#tableBytes < this.#seekTable.length) {
      throw new FrameError('ends inside its seek table');
    }
  }

  #decode(bytes: Buffer): Buffer {
    const { logical, logicalAt } = this.#table.at(this.#index);
    this.#index += 1;
    try {
      return decompressFrame(bytes, logical);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      throw new FrameError(`has a frame at ${logicalAt} that ${error.message}`, { cause: error });
    }
  }

  #takeTable(bytes: Buffer): void {
    const expected = this.#seekTable?.subarray(this.#tableBytes, this.#tableBytes + bytes.length);
    if (expected === undefined || expected.length < bytes.length) throw new FrameError('continues after its end');
    if (!expected.equals(bytes)) throw new FrameError('has a seek table that does not match its frames');
    this.#tableBytes += bytes.length;
  }
}

import { createHash, type Hash } from 'node:crypto';
import { type Digest, digestFromBytes } from '../core/digest.ts';
import { FrameDecoder } from '../core/frame-decoder.ts';
import { FrameTable } from '../core/frame-table.ts';
import type { PackMember } from '../core/pack.ts';
import { PackReader } from '../core/pack-reader.ts';
import { FrameError } from '../core/zstd-frame.ts';

/** What an object turned out to be; plain data, so that a thread can send it. */
export interface Examined {
  /** The bytes as they stand. */
  stored: Content;
  /** What they decompress to; null: they are not the frames that their seek table names. */
  decoded: Content | null;
}

export interface Content {
  digest: Digest;
  size: number;
  /** Null: it is no pack. */
  members: PackMember[] | null;
}

/** Reads an object's bytes of which nothing is known beforehand: hashes them, and looks whether they are a pack, or frames, or both. */
export class Examination {
  readonly #stored = new ContentReader();
  readonly #decoded = new ContentReader();
  #decoder: FrameDecoder | null;

  /** @param frames the encoded frame table, which stands at the object's end; null: none does */
  constructor(frames: Uint8Array | null) {
    this.#decoder = frames === null ? null : FrameDecoder.whole(FrameTable.decode(frames));
  }

  write(bytes: Uint8Array): void {
    this.#stored.write(bytes);
    this.#decode((decoder) => {
      for (const content of decoder.write(bytes)) this.#decoded.write(content);
    });
  }

  end(): Examined {
    this.#decode((decoder) => decoder.end());
    return { stored: this.#stored.end(), decoded: this.#decoder === null ? null : this.#decoded.end() };
  }

  /** Bytes that are no frames may be right all the same, as they stand. */
  #decode(work: (decoder: FrameDecoder) => void): void {
    if (this.#decoder === null) return;
    try {
      work(this.#decoder);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#decoder = null;
    }
  }
}

class ContentReader {
  readonly #hash: Hash = createHash('sha256');
  readonly #pack = new PackReader();
  #size = 0;

  write(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#pack.write(bytes);
    this.#size += bytes.length;
  }

  end(): Content {
    return { digest: digestFromBytes(this.#hash.digest()), size: this.#size, members: this.#pack.end() };
  }
}

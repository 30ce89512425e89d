import { createHash } from 'node:crypto';
import { digestFromBytes } from './digest.ts';
import { type FrameSizes, FrameTable, type StoredForm } from './frame-table.ts';
import { compressFrame } from './zstd-frame.ts';

/** Fast enough that a push is not slower for it (docs/performance.md). */
export const AUTO_LEVEL = 1;
/** About how much of a pack's content is in one frame: a small file is one ranged read of it, and it must hold many of them. */
export const PACK_FRAME_SIZE = 256 * 1024;

/** Compression must save a tenth: less does not pay for decompressing what is read. */
const WORTH = 0.9;
const SAMPLES = 3;
const SAMPLE_SIZE = 64 * 1024;
/** Below this the seek table and the headers of frames outweigh what is saved. */
const SIZE_MIN = 1_024;

/**
 * Whether content seems to compress, by samples from its beginning, middle and end.
 * @param read gives these bytes of the content; null: they are not there
 */
export function seemsCompressible(
  size: number,
  level: number,
  read: (offset: number, size: number) => Uint8Array | null,
): boolean {
  if (size < SIZE_MIN) return false;
  let [before, after] = [0, 0];
  for (const sample of samplesOf(size)) {
    const bytes = read(sample.offset, sample.size);
    if (bytes === null) return false;
    before += bytes.length;
    after += compressFrame(bytes, level).length;
  }
  return after < before * WORTH;
}

function samplesOf(size: number): Array<{ offset: number; size: number }> {
  if (size <= SAMPLES * SAMPLE_SIZE) return [{ offset: 0, size }];
  const step = (size - SAMPLE_SIZE) / (SAMPLES - 1);
  return Array.from({ length: SAMPLES }, (_, nth) => ({ offset: Math.floor(nth * step), size: SAMPLE_SIZE }));
}

/** Is the stored form of so many bytes small enough to be kept? */
export function isWorth({ size }: StoredForm, logicalSize: number): boolean {
  return size < logicalSize * WORTH;
}

/** Compresses content, frame by frame. */
export class FrameWriter {
  readonly #level: number;
  readonly #take: (stored: Buffer) => void;
  readonly #hash = createHash('sha256');
  readonly #frames: FrameSizes[] = [];

  /** @param take is given the stored bytes, in order */
  constructor(level: number, take: (stored: Buffer) => void) {
    this.#level = level;
    this.#take = take;
  }

  /** @param content of one frame */
  add(content: Uint8Array): void {
    const stored = compressFrame(content, this.#level);
    this.#frames.push({ stored: stored.length, logical: content.length });
    this.#give(stored);
  }

  end(): StoredForm {
    const table = FrameTable.of(this.#frames);
    this.#give(table.seekTable());
    const frames = new Uint8Array(table.encode());
    return { digest: digestFromBytes(this.#hash.digest()), size: table.storedSize, frames };
  }

  #give(stored: Buffer): void {
    this.#hash.update(stored);
    this.#take(stored);
  }
}

/**
 * Puts the stored form of content in the content's place, from the beginning of its memory on.
 * @param frames logical sizes of the frames, which add up to the content
 * @returns null: it would not be worth it, and the memory is as it was
 */
export function compressInPlace(content: Buffer, frames: readonly number[], level: number): StoredForm | null {
  if (!seemsCompressible(content.length, level, (offset, size) => content.subarray(offset, offset + size))) return null;
  const pieces: Buffer[] = [];
  const writer = new FrameWriter(level, (stored) => pieces.push(stored));
  let at = 0;
  for (const size of frames) {
    writer.add(content.subarray(at, at + size));
    at += size;
  }
  const form = writer.end();
  if (!isWorth(form, content.length)) return null;
  at = 0;
  for (const piece of pieces) at += piece.copy(content, at);
  return form;
}

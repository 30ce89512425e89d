import type { Digest } from './digest.ts';
import { MEMBER_HEADER_SIZE, type PackMember } from './pack.ts';
import { FRAME_CONTENT_MAX, FRAMES_MAX, FrameError } from './zstd-frame.ts';

/**
 * An object in the seekable zstd format: independent frames, one after the other, then a seek table in a skippable frame
 * (zstd's contrib/seekable_format). `zstd -d` gives the content back without this software.
 *
 * Two coordinates, never mixed: *logical* offsets count bytes of the content, *stored* ones bytes of the object.
 */
export interface FrameSizes {
  /** Bytes of the frame in the object. */
  stored: number;
  /** Bytes that it decompresses to. */
  logical: number;
}

/** A frame and where it stands. */
export interface PlacedFrame extends FrameSizes {
  storedAt: number;
  logicalAt: number;
}

/** How the bytes of an object stand for its content. */
export const ENCODINGS = ['identity', 'zstd-seekable'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** An object's bytes when they are not its content: frames and a seek table. */
export interface StoredForm {
  /** Of the stored bytes. */
  digest: Digest;
  size: number;
  /** The encoded frame table. */
  frames: Uint8Array<ArrayBuffer>;
}

/** Of the encoded table: 4 bytes of stored size, 4 of logical. */
export const FRAME_ENTRY_SIZE = 8;
const SKIPPABLE_MAGIC = 0x184d2a5e;
const SEEKABLE_MAGIC = 0x8f92eab1;
const SKIPPABLE_HEADER_SIZE = 8;
const FOOTER_SIZE = 9;

/**
 * Most stored bytes of a frame: content that does not compress, with what zstd needs around it (ZSTD_compressBound). More could
 * only be padding, and whoever decodes holds all of it in memory.
 */
export function frameSizeMax(logical: number): number {
  return logical + (logical >>> 8) + 1024;
}

/** The frames of one object, in order. Takes 16 bytes a frame. */
export class FrameTable {
  /** Where each frame ends. */
  readonly #storedEnds: Float64Array;
  readonly #logicalEnds: Float64Array;

  private constructor(storedEnds: Float64Array, logicalEnds: Float64Array) {
    this.#storedEnds = storedEnds;
    this.#logicalEnds = logicalEnds;
  }

  static of(frames: readonly FrameSizes[]): FrameTable {
    const storedEnds = new Float64Array(frames.length);
    const logicalEnds = new Float64Array(frames.length);
    let [stored, logical] = [0, 0];
    for (const [index, frame] of frames.entries()) {
      stored += frame.stored;
      logical += frame.logical;
      storedEnds[index] = stored;
      logicalEnds[index] = logical;
    }
    return new FrameTable(storedEnds, logicalEnds);
  }

  /** What `encode` gave. @throws FrameError */
  static decode(encoded: Uint8Array): FrameTable {
    const bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.length);
    if (bytes.length % FRAME_ENTRY_SIZE !== 0)
      throw new FrameError('has a frame table that ends in the middle of an entry');
    const frames: FrameSizes[] = [];
    for (let at = 0; at < bytes.length; at += FRAME_ENTRY_SIZE) {
      frames.push({ stored: bytes.readUInt32LE(at), logical: bytes.readUInt32LE(at + 4) });
    }
    return FrameTable.of(frames);
  }

  /** The entries of the seek table: stored and logical size of each frame, 4 bytes each, little-endian. */
  encode(): Buffer {
    const bytes = Buffer.alloc(this.length * FRAME_ENTRY_SIZE);
    for (let index = 0; index < this.length; index += 1) {
      const { stored, logical } = this.at(index);
      bytes.writeUInt32LE(stored, index * FRAME_ENTRY_SIZE);
      bytes.writeUInt32LE(logical, index * FRAME_ENTRY_SIZE + 4);
    }
    return bytes;
  }

  get length(): number {
    return this.#storedEnds.length;
  }

  /** Bytes of the content. */
  get logicalSize(): number {
    return this.#logicalEnds.at(-1) ?? 0;
  }

  /** Bytes of the frames, without the seek table. */
  get framesSize(): number {
    return this.#storedEnds.at(-1) ?? 0;
  }

  /** Bytes of the whole object. */
  get storedSize(): number {
    return this.framesSize + seekTableSize(this.length);
  }

  at(index: number): PlacedFrame {
    const storedAt = index === 0 ? 0 : (this.#storedEnds[index - 1] as number);
    const logicalAt = index === 0 ? 0 : (this.#logicalEnds[index - 1] as number);
    const stored = (this.#storedEnds[index] as number) - storedAt;
    return { storedAt, logicalAt, stored, logical: (this.#logicalEnds[index] as number) - logicalAt };
  }

  *[Symbol.iterator](): Generator<PlacedFrame> {
    for (let index = 0; index < this.length; index += 1) yield this.at(index);
  }

  /** The frame that holds the byte at this logical offset. */
  indexAt(logical: number): number {
    let [low, high] = [0, this.length - 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#logicalEnds[middle] as number) > logical) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The frames that a logical range needs: one ranged read gives them all. The range is not empty and lies inside. */
  covering(range: { offset: number; size: number }): { first: number; last: number; storedAt: number; stored: number } {
    const first = this.indexAt(range.offset);
    const last = this.indexAt(range.offset + range.size - 1);
    const { storedAt } = this.at(first);
    return { first, last, storedAt, stored: (this.#storedEnds[last] as number) - storedAt };
  }

  /** The skippable frame that ends the object. */
  seekTable(): Buffer {
    const entries = this.encode();
    const table = Buffer.alloc(seekTableSize(this.length));
    table.writeUInt32LE(SKIPPABLE_MAGIC, 0);
    table.writeUInt32LE(table.length - SKIPPABLE_HEADER_SIZE, 4);
    entries.copy(table, SKIPPABLE_HEADER_SIZE);
    const footer = table.length - FOOTER_SIZE;
    table.writeUInt32LE(this.length, footer);
    // The descriptor: entries without checksums, since every frame has one of its own.
    table.writeUInt8(0, footer + 4);
    table.writeUInt32LE(SEEKABLE_MAGIC, footer + 5);
    return table;
  }
}

export function seekTableSize(frames: number): number {
  return SKIPPABLE_HEADER_SIZE + frames * FRAME_ENTRY_SIZE + FOOTER_SIZE;
}

/** How many bytes at the end of an object tell whether it has a seek table, and how long that is. */
export const SEEK_TABLE_FOOTER_SIZE = FOOTER_SIZE;

/**
 * How many bytes at its end are the object's seek table, by what its last bytes say; null: they are not the end of one.
 * @param footer the last SEEK_TABLE_FOOTER_SIZE bytes
 */
export function seekTableAt(footer: Uint8Array): number | null {
  const bytes = Buffer.from(footer.buffer, footer.byteOffset, footer.length);
  if (bytes.length !== FOOTER_SIZE || bytes.readUInt32LE(5) !== SEEKABLE_MAGIC || bytes[4] !== 0) return null;
  const frames = bytes.readUInt32LE(0);
  return frames === 0 || frames > FRAMES_MAX ? null : seekTableSize(frames);
}

/**
 * The frames that a seek table names, of an object of so many bytes; null: it is none of ours, whatever the object is.
 * @param bytes the whole table
 */
export function readSeekTable(bytes: Uint8Array, storedSize: number): FrameTable | null {
  if (bytes.length < seekTableSize(1)) return null;
  try {
    const table = FrameTable.decode(bytes.subarray(SKIPPABLE_HEADER_SIZE, -FOOTER_SIZE));
    if (!table.seekTable().equals(bytes)) return null;
    checkFrameTable(table, { size: table.logicalSize, storedSize, members: null });
    return table;
  } catch (error) {
    if (error instanceof FrameError) return null;
    throw error;
  }
}

/**
 * What an object says of its frames, checked against what it is to be. In a pack a frame ends where a member ends, so
 * that a member is one ranged read, and a range of frames never shows a part of a member.
 * @param members of a pack; null: a loose blob @throws FrameError
 */
export function checkFrameTable(
  table: FrameTable,
  object: { size: number; storedSize: number; members: readonly PackMember[] | null },
): void {
  const { size, storedSize, members } = object;
  if (table.length === 0) throw new FrameError('has no frames');
  if (table.length > FRAMES_MAX) throw new FrameError(`has ${table.length} frames; at most ${FRAMES_MAX} are accepted`);
  for (const { logical, stored, logicalAt } of table) {
    if (logical === 0 || stored === 0) throw new FrameError(`has an empty frame at ${logicalAt}`);
    if (logical > FRAME_CONTENT_MAX) {
      throw new FrameError(
        `has a frame of ${logical} bytes at ${logicalAt}; at most ${FRAME_CONTENT_MAX} are accepted`,
      );
    }
    if (stored > frameSizeMax(logical)) {
      const most = `for ${logical} bytes of content, at most ${frameSizeMax(logical)} are accepted`;
      throw new FrameError(`has a frame of ${stored} stored bytes at ${logicalAt}; ${most}`);
    }
  }
  if (table.logicalSize !== size) throw new FrameError(`has frames of ${table.logicalSize} bytes, not ${size}`);
  if (table.storedSize !== storedSize) {
    throw new FrameError(`has ${storedSize} bytes; with these frames it has ${table.storedSize}`);
  }
  if (members !== null) checkBorders(table, members);
}

function checkBorders(table: FrameTable, members: readonly PackMember[]): void {
  let next = 0;
  for (const { logicalAt, logical } of table) {
    const end = logicalAt + logical;
    while (next < members.length && startOf(members[next] as PackMember) < end) next += 1;
    const member = members[next];
    const border = member === undefined ? table.logicalSize : startOf(member);
    if (end !== border) throw new FrameError(`has a frame that ends at ${end}, where no member ends`);
  }
}

/** Where the member's header stands. */
function startOf({ offset }: PackMember): number {
  return offset - MEMBER_HEADER_SIZE;
}

/**
 * The logical sizes of a pack's frames: whole members, about `target` bytes together; a larger member has a frame of its
 * own. What ends the pack is in the last frame.
 * @param size of the pack
 */
export function cutPackFrames(members: readonly PackMember[], size: number, target: number): number[] {
  const sizes: number[] = [];
  let start = 0;
  for (const [index, member] of members.entries()) {
    const end = index + 1 === members.length ? size : startOf(members[index + 1] as PackMember);
    const before = startOf(member);
    if (before > start && end - start > target) {
      sizes.push(before - start);
      start = before;
    }
  }
  sizes.push(size - start);
  return sizes;
}

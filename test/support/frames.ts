import { constants, zstdCompressSync } from 'node:zlib';
import type { PackMember } from '../../src/core/pack.ts';
import { sha256 } from './api.ts';
import { packOf } from './pack.ts';

/**
 * Objects in the seekable zstd format, written by the format's description and not by the code under test, so that both must
 * mean the same. Each piece can be made anew, for objects that are wrong in one thing alone.
 */

/** A frame, and what its entry in the frame table says of it. */
export interface TestFrame {
  bytes: Buffer;
  logical: number;
}

/** What a plan says of an object. */
export interface EncodedPlan {
  digest: string;
  size: number;
  encoding: 'zstd-seekable';
  stored_size: number;
  stored_digest: string;
  frames: string;
  members?: PackMember[];
}

export interface EncodedObject {
  /** The stored bytes. */
  bytes: Buffer;
  plan: EncodedPlan;
}

/** An object as its frames give it, whole and encoded. */
export interface FramedObject extends EncodedObject {
  content: Buffer;
  frames: TestFrame[];
  members: PackMember[];
}

export function compressed(content: Uint8Array, params: Record<number, number> = {}): Buffer {
  return zstdCompressSync(content, {
    pledgedSrcSize: content.length,
    params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1, ...params },
  });
}

export function frameOf(content: Uint8Array): TestFrame {
  return { bytes: compressed(content), logical: content.length };
}

/** @param sizes of the frames' contents, which add up to the content */
export function framesOf(content: Buffer, sizes: readonly number[]): TestFrame[] {
  let at = 0;
  return sizes.map((size) => {
    at += size;
    return frameOf(content.subarray(at - size, at));
  });
}

/** Stored and logical size of each frame, 4 bytes each, little-endian. */
export function entriesOf(frames: readonly TestFrame[]): Buffer {
  const entries = Buffer.alloc(8 * frames.length);
  for (const [index, { bytes, logical }] of frames.entries()) {
    entries.writeUInt32LE(bytes.length, 8 * index);
    entries.writeUInt32LE(logical, 8 * index + 4);
  }
  return entries;
}

/** zstd's contrib/seekable_format: a skippable frame of the entries, their number, a descriptor of zero, and a magic. */
export function seekTableOf(frames: readonly TestFrame[]): Buffer {
  const entries = entriesOf(frames);
  const [header, footer] = [Buffer.alloc(8), Buffer.alloc(9)];
  header.writeUInt32LE(0x184d2a5e, 0);
  header.writeUInt32LE(entries.length + footer.length, 4);
  footer.writeUInt32LE(frames.length, 0);
  footer.writeUInt32LE(0x8f92eab1, 5);
  return Buffer.concat([header, entries, footer]);
}

/** @param table that stands at its end, should it be another than the frames' */
export function encodedAs(
  { digest, size, members }: { digest: string; size: number; members?: PackMember[] },
  frames: readonly TestFrame[],
  table = seekTableOf(frames),
): EncodedObject {
  const bytes = Buffer.concat([...frames.map((frame) => frame.bytes), table]);
  const plan: EncodedPlan = {
    digest,
    size,
    encoding: 'zstd-seekable',
    stored_size: bytes.length,
    stored_digest: sha256(bytes),
    frames: entriesOf(frames).toString('base64'),
    ...(members === undefined ? {} : { members }),
  };
  return { bytes, plan };
}

/** The pack of these blobs. @param perFrame how many of them each frame holds; the last one holds what is left, too */
export function framedPack(
  contents: ReadonlyArray<string | Uint8Array>,
  perFrame: readonly number[] = [contents.length],
): FramedObject {
  const { bytes: content, digest, size, members } = packOf(contents);
  const sizes: number[] = [];
  let [member, start] = [0, 0];
  for (const count of perFrame) {
    member += count;
    // A header of 512 bytes stands before each member.
    const end = member < members.length ? (members[member] as PackMember).offset - 512 : size;
    if (end > start) sizes.push(end - start);
    start = end;
  }
  if (start < size) sizes.push(size - start);
  const frames = framesOf(content, sizes);
  return { content, frames, members, ...encodedAs({ digest, size, members }, frames) };
}

/** A loose blob. @param frameSize bytes of content in each frame */
export function framedBlob(content: Buffer, frameSize = 1024 ** 2): FramedObject {
  const sizes: number[] = [];
  for (let at = 0; at < content.length; at += frameSize) sizes.push(Math.min(frameSize, content.length - at));
  const frames = framesOf(content, sizes);
  const object = { digest: sha256(content), size: content.length };
  return { content, frames, members: [], ...encodedAs(object, frames) };
}

const BLOCK_MAX = 128 * 1024;

/** A frame of four bytes a block, whose header claims one size and whose blocks hold another. All zeros. */
export function bombOf(claimed: number, held: number): Buffer {
  const blocks = Math.ceil(held / BLOCK_MAX);
  const frame = Buffer.alloc(9 + 4 * blocks + 4);
  frame.writeUInt32LE(0xfd2fb528, 0);
  // A size of four bytes, one segment, a checksum.
  frame.writeUInt8(0xa4, 4);
  frame.writeUInt32LE(claimed, 5);
  for (let block = 0; block < blocks; block += 1) {
    const size = Math.min(BLOCK_MAX, held - block * BLOCK_MAX);
    const isLast = block === blocks - 1 ? 1 : 0;
    frame.writeUIntLE((size << 3) | (1 << 1) | isLast, 9 + 4 * block, 3);
  }
  return frame;
}

/** A frame that decoders pass over. */
export function skippable(size: number): Buffer {
  const frame = Buffer.alloc(8 + size);
  frame.writeUInt32LE(0x184d2a50, 0);
  frame.writeUInt32LE(size, 4);
  return frame;
}

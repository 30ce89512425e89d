import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/**
 * One frame of an object in the seekable zstd format (RFC 8878): independent of all others, with its content size and a
 * checksum, without a dictionary. Nothing lasting is named by compressed bytes: they differ between zstd's versions and
 * between processors.
 */

/** Largest number of bytes that one frame may decompress to. It also bounds the memory that a decoder needs. */
export const FRAME_CONTENT_MAX = 4 * 1024 ** 2;
const WINDOW_LOG_MAX = 22;

/** Most frames of one object: the table travels in a JSON body. With the largest frames, content of 256 GiB. */
export const FRAMES_MAX = 65_536;

/** Most frames that one list of downloads tells. */
export const FRAMES_TOLD_MAX = 4 * FRAMES_MAX;

/** A frame that is not what it was declared to be; the message is half a sentence. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** Bytes of output that node:zlib takes at a time. */
const CHUNK = 16 * 1024;
/** A frame of nothing, with its checksum; bytes. */
const EMPTY_FRAME = 13;

/**
 * One frame. node:zlib adds an empty one when the frame fills its last chunk of output to the last byte (measured on Node 24.21): then it
 * is made again, in a chunk that it cannot fill. @param level 1 (fastest) to 19
 */
export function compressFrame(content: Uint8Array, level: number): Buffer {
  const options = {
    pledgedSrcSize: content.length,
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  };
  const frame = zstdCompressSync(content, { ...options, chunkSize: CHUNK });
  if ((frame.length - EMPTY_FRAME) % CHUNK !== 0) return frame;
  return zstdCompressSync(content, { ...options, chunkSize: frame.length + 1 });
}

/**
 * Decodes exactly one frame. node:zlib stops after the first frame of several, and before trailing bytes, without an error
 * (measured on Node 24.21), so the frame must say the size that is declared, and all of the bytes must have been consumed.
 * @param size bytes that it must decompress to @throws FrameError
 */
export function decompressFrame(frame: Uint8Array, size: number): Buffer {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
  const declared = contentSizeOf(bytes);
  if (declared !== size) throw new FrameError(`declares ${declared} bytes, not ${size}`);
  const { buffer, engine } = decode(bytes, size);
  if (engine.bytesWritten !== bytes.length) {
    throw new FrameError(`has ${bytes.length - engine.bytesWritten} bytes after its end`);
  }
  if (buffer.length !== size) throw new FrameError(`decompresses to ${buffer.length} bytes, not ${size}`);
  return buffer;
}

interface Decoded {
  buffer: Buffer;
  /** `bytesWritten`: how many bytes the decoder consumed. */
  engine: { bytesWritten: number };
}

function decode(bytes: Buffer, size: number): Decoded {
  try {
    return zstdDecompressSync(bytes, {
      info: true,
      maxOutputLength: size,
      params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
    }) as unknown as Decoded;
  } catch (error) {
    throw new FrameError(`cannot be decompressed (${(error as Error).message})`, { cause: error });
  }
}

const MAGIC = 0xfd2fb528;
const DESCRIPTOR_AT = 4;
/** Bits of the frame header's descriptor (RFC 8878, 3.1.1.1.1). */
const SINGLE_SEGMENT = 0x20;
const RESERVED = 0x08;
const CHECKSUM = 0x04;
const DICTIONARY_ID = 0x03;

/** The content size in the frame's header. @throws FrameError when the header is not one that `compressFrame` writes */
function contentSizeOf(frame: Buffer): number {
  // The longest header is 14 bytes; with a block and the checksum no frame is shorter than the fields read here.
  if (frame.length < 14 && frame.length < headerSize(frame)) throw new FrameError('is shorter than its header');
  if (frame.readUInt32LE(0) !== MAGIC) throw new FrameError('does not begin as a zstd frame');
  const descriptor = frame[DESCRIPTOR_AT] as number;
  if ((descriptor & RESERVED) !== 0) throw new FrameError('has a reserved bit set');
  if ((descriptor & CHECKSUM) === 0) throw new FrameError('has no checksum');
  if ((descriptor & DICTIONARY_ID) !== 0) throw new FrameError('needs a dictionary');
  const at = DESCRIPTOR_AT + 1 + ((descriptor & SINGLE_SEGMENT) === 0 ? 1 : 0);
  // A decoder looks at it for contents alone that do not fit into its buffer, and others may have smaller buffers.
  if (at > DESCRIPTOR_AT + 1 && windowOf(frame[at - 1] as number) > FRAME_CONTENT_MAX) {
    throw new FrameError('needs a window of more bytes than any frame may hold');
  }
  switch (descriptor >> 6) {
    case 0:
      if ((descriptor & SINGLE_SEGMENT) === 0) throw new FrameError('does not declare how many bytes it holds');
      return frame[at] as number;
    case 1:
      return frame.readUInt16LE(at) + 256;
    case 2:
      return frame.readUInt32LE(at);
    default:
      return Number(frame.readBigUInt64LE(at));
  }
}

/** Bytes (RFC 8878, 3.1.1.1.2). */
function windowOf(descriptor: number): number {
  return 2 ** (10 + (descriptor >> 3)) * (1 + (descriptor & 7) / 8);
}

function headerSize(frame: Buffer): number {
  if (frame.length <= DESCRIPTOR_AT) return DESCRIPTOR_AT + 1;
  const descriptor = frame[DESCRIPTOR_AT] as number;
  const single = (descriptor & SINGLE_SEGMENT) !== 0;
  const field = descriptor >> 6;
  return DESCRIPTOR_AT + 1 + (single ? 0 : 1) + (field === 0 ? (single ? 1 : 0) : 2 ** field);
}

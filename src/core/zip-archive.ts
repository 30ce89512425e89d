import type { ArchiveFormat, ArchiveMember, ArchiveTotals } from './archive.ts';

/**
 * Zip files (PKWARE's APPNOTE 6.3.10) of members that are stored as they are, so that names and sizes alone say where everything stands.
 * Zip64 only where a number does not fit. Names are UTF-8; modes are those of Unix; times are also in UTC (Info-ZIP's extended timestamp).
 *
 * The CRC-32 of a member follows its bytes in a data descriptor, and stands in its entry: nobody needs to read a member before its
 * header can be written. The header has the sizes nevertheless, so that readers of a stream find the member's end.
 */
export const ZIP_ARCHIVE: ArchiveFormat = {
  needsCrc: true,
  headerSize: ({ path, size, modifiedAt }) =>
    HEADER + Buffer.byteLength(path) + timeSize(modifiedAt) + (size >= MAX32 ? 4 + 16 : 0),
  header: localHeader,
  trailerSize: ({ size }) => descriptorSize(size),
  trailer: descriptor,
  entrySize: ({ path, size, modifiedAt }, offset) =>
    ENTRY + Buffer.byteLength(path) + timeSize(modifiedAt) + sizeOf64(wide(size, offset)),
  entry: centralEntry,
  endSize: (totals) => (needs64(totals) ? END64 + LOCATOR64 : 0) + END,
  end,
};

const [HEADER, ENTRY, END, END64, LOCATOR64] = [30, 46, 22, 56, 20];
/** What does not fit says so by these. */
const MAX16 = 0xffff;
const MAX32 = 0xffff_ffff;

/** Bits 3 and 11: a data descriptor follows, the name is UTF-8. */
const FLAGS = 0x0808;
const STORED = 0;
/** Made by Unix; 4.5 knows Zip64. */
const UNIX = 3 << 8;
const [PLAIN_VERSION, ZIP64_VERSION] = [20, 45];
const [ZIP64_EXTRA, TIME_EXTRA] = [0x0001, 0x5455];
const REGULAR_FILE = 0o100_000;

function localHeader({ path, size, modifiedAt }: ArchiveMember): Buffer {
  const name = Buffer.from(path);
  const is64 = size >= MAX32;
  const extra = Buffer.concat([timeExtra(modifiedAt), extra64(is64 ? [size, size] : [])]);
  const head = Buffer.alloc(HEADER);
  head.writeUInt32LE(0x04034b50, 0);
  head.writeUInt16LE(is64 ? ZIP64_VERSION : PLAIN_VERSION, 4);
  head.writeUInt16LE(FLAGS, 6);
  head.writeUInt16LE(STORED, 8);
  head.writeUInt32LE(dosTime(modifiedAt), 10);
  head.writeUInt32LE(0, 14); // the CRC-32 follows
  head.writeUInt32LE(Math.min(size, MAX32), 18);
  head.writeUInt32LE(Math.min(size, MAX32), 22);
  head.writeUInt16LE(name.length, 26);
  head.writeUInt16LE(extra.length, 28);
  return Buffer.concat([head, name, extra]);
}

function descriptorSize(size: number): number {
  return size >= MAX32 ? 24 : 16;
}

function descriptor({ size }: ArchiveMember, crc: number): Buffer {
  const bytes = Buffer.alloc(descriptorSize(size));
  bytes.writeUInt32LE(0x08074b50, 0);
  bytes.writeUInt32LE(crc, 4);
  if (size < MAX32) {
    bytes.writeUInt32LE(size, 8);
    bytes.writeUInt32LE(size, 12);
  } else {
    bytes.writeBigUInt64LE(BigInt(size), 8);
    bytes.writeBigUInt64LE(BigInt(size), 16);
  }
  return bytes;
}

/** The numbers of an entry that do not fit into it, in the order in which its extra field has them. */
function wide(size: number, offset: number): number[] {
  return [...(size >= MAX32 ? [size, size] : []), ...(offset >= MAX32 ? [offset] : [])];
}

function centralEntry({ path, size, executable, modifiedAt }: ArchiveMember, offset: number, crc: number): Buffer {
  const name = Buffer.from(path);
  const numbers = wide(size, offset);
  const extra = Buffer.concat([timeExtra(modifiedAt), extra64(numbers)]);
  const version = numbers.length === 0 ? PLAIN_VERSION : ZIP64_VERSION;
  const head = Buffer.alloc(ENTRY);
  head.writeUInt32LE(0x02014b50, 0);
  head.writeUInt16LE(UNIX | version, 4);
  head.writeUInt16LE(version, 6);
  head.writeUInt16LE(FLAGS, 8);
  head.writeUInt16LE(STORED, 10);
  head.writeUInt32LE(dosTime(modifiedAt), 12);
  head.writeUInt32LE(crc, 16);
  head.writeUInt32LE(Math.min(size, MAX32), 20);
  head.writeUInt32LE(Math.min(size, MAX32), 24);
  head.writeUInt16LE(name.length, 28);
  head.writeUInt16LE(extra.length, 30);
  // No comment, first disk, binary: zeros.
  head.writeUInt32LE(((REGULAR_FILE | (executable ? 0o755 : 0o644)) << 16) >>> 0, 38);
  head.writeUInt32LE(Math.min(offset, MAX32), 42);
  return Buffer.concat([head, name, extra]);
}

/** 0xffff members need Zip64, too: the number itself says so. */
function needs64({ members, entriesAt, endAt }: ArchiveTotals): boolean {
  return members >= MAX16 || entriesAt >= MAX32 || endAt - entriesAt >= MAX32;
}

function end(totals: ArchiveTotals): Buffer {
  const { members, entriesAt, endAt } = totals;
  const last = Buffer.alloc(END);
  last.writeUInt32LE(0x06054b50, 0);
  last.writeUInt16LE(Math.min(members, MAX16), 8);
  last.writeUInt16LE(Math.min(members, MAX16), 10);
  last.writeUInt32LE(Math.min(endAt - entriesAt, MAX32), 12);
  last.writeUInt32LE(Math.min(entriesAt, MAX32), 16);
  if (!needs64(totals)) return last;
  const wideEnd = Buffer.alloc(END64);
  wideEnd.writeUInt32LE(0x06064b50, 0);
  wideEnd.writeBigUInt64LE(BigInt(END64 - 12), 4);
  wideEnd.writeUInt16LE(UNIX | ZIP64_VERSION, 12);
  wideEnd.writeUInt16LE(ZIP64_VERSION, 14);
  wideEnd.writeBigUInt64LE(BigInt(members), 24);
  wideEnd.writeBigUInt64LE(BigInt(members), 32);
  wideEnd.writeBigUInt64LE(BigInt(endAt - entriesAt), 40);
  wideEnd.writeBigUInt64LE(BigInt(entriesAt), 48);
  const locator = Buffer.alloc(LOCATOR64);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(endAt), 8);
  locator.writeUInt32LE(1, 16); // disks
  return Buffer.concat([wideEnd, locator, last]);
}

function sizeOf64(numbers: readonly number[]): number {
  return numbers.length === 0 ? 0 : 4 + 8 * numbers.length;
}

function extra64(numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(sizeOf64(numbers));
  if (numbers.length === 0) return bytes;
  bytes.writeUInt16LE(ZIP64_EXTRA, 0);
  bytes.writeUInt16LE(8 * numbers.length, 2);
  for (const [index, number] of numbers.entries()) bytes.writeBigUInt64LE(BigInt(number), 4 + 8 * index);
  return bytes;
}

/** 32 bits with a sign, which some readers take for more: from 1970 until January 2038. Other times stand in the DOS field alone. */
function hasTimeExtra(seconds: number): boolean {
  return seconds >= 0 && seconds < 2 ** 31;
}

function timeSize(seconds: number): number {
  return hasTimeExtra(seconds) ? 9 : 0;
}

function timeExtra(seconds: number): Buffer {
  const bytes = Buffer.alloc(timeSize(seconds));
  if (bytes.length === 0) return bytes;
  bytes.writeUInt16LE(TIME_EXTRA, 0);
  bytes.writeUInt16LE(5, 2);
  bytes.writeUInt8(1, 4); // the modification time
  bytes.writeInt32LE(seconds, 5);
  return bytes;
}

const [DOS_FIRST, DOS_LAST] = [Date.UTC(1980, 0, 1) / 1_000, Date.UTC(2107, 11, 31, 23, 59, 58) / 1_000];

/** Two seconds fine, from 1980 to 2107; meant to be local, here UTC. */
function dosTime(seconds: number): number {
  const at = new Date(Math.min(Math.max(seconds, DOS_FIRST), DOS_LAST) * 1_000);
  const date = ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate();
  const time = (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1);
  return ((date << 16) | time) >>> 0;
}

/**
 * Headers of a tar file for others to unpack (POSIX.1-2001, pax interchange format): plain ustar wherever that can say it, and
 * an extended header before a member whose name, size or time it cannot. No owner, so that the same members are the same bytes.
 */
export interface TarMember {
  /** Relative, UTF-8; at most some thousand bytes. */
  path: string;
  /** Bytes. */
  size: number;
  executable: boolean;
  /** Whole seconds since 1970. */
  mtime: number;
}

const BLOCK = 512;
/** What follows the last member: two blocks of zeros. */
export const TAR_END: Readonly<Buffer> = Buffer.alloc(2 * BLOCK);

const NAME_MAX = 100;
const PREFIX_MAX = 155;
/** Eleven octal digits: of sizes, and of times. */
const OCTAL_MAX = 8 ** 11 - 1;

/** What comes before a member's bytes: one block, or three and more. */
export function tarHeader(member: TarMember): Buffer {
  const bytes = Buffer.from(member.path);
  const place = placeOf(bytes);
  const records = paxRecords(member, place);
  // Who knows no extended headers still sees the beginning of the name.
  const { prefix, name } = place ?? { prefix: Buffer.alloc(0), name: bytes.subarray(0, NAME_MAX) };
  const size = member.size > OCTAL_MAX ? 0 : member.size;
  const mtime = Math.min(Math.max(member.mtime, 0), OCTAL_MAX);
  const own = header({ prefix, name, size, mode: member.executable ? 0o755 : 0o644, mtime, type: '0' });
  if (records === '') return own;
  const pax = Buffer.from(records);
  const extended = { prefix: Buffer.alloc(0), name: PAX_NAME, size: pax.length, mode: 0o644, mtime, type: 'x' };
  return Buffer.concat([header(extended), pax, tarPadding(pax.length), own]);
}

/** How many bytes that is. */
export function tarHeaderSize(member: TarMember): number {
  const records = paxRecords(member, placeOf(Buffer.from(member.path)));
  if (records === '') return BLOCK;
  const size = Buffer.byteLength(records);
  return BLOCK + size + tarPaddingSize(size) + BLOCK;
}

/** What comes after a member's bytes: zeros up to a whole block. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc(tarPaddingSize(size));
}

export function tarPaddingSize(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** What the plain header cannot say. */
function paxRecords({ path, size, mtime }: TarMember, place: unknown): string {
  return [
    place === null ? paxRecord('path', path) : '',
    size > OCTAL_MAX ? paxRecord('size', String(size)) : '',
    mtime < 0 || mtime > OCTAL_MAX ? paxRecord('mtime', String(mtime)) : '',
  ].join('');
}

const PAX_NAME = Buffer.from('PaxHeaders/member');

/** A name of more than NAME_MAX bytes is cut at a slash. @returns null when no slash fits */
function placeOf(path: Buffer): { prefix: Buffer; name: Buffer } | null {
  if (path.length <= NAME_MAX) return { prefix: Buffer.alloc(0), name: path };
  const slash = path.indexOf('/', path.length - NAME_MAX - 1);
  if (slash < 1 || slash > PREFIX_MAX) return null;
  return { prefix: path.subarray(0, slash), name: path.subarray(slash + 1) };
}

/** `<length> <key>=<value>` and a line feed, where the length counts itself, too. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (rest + String(length).length > length) length += 1;
  return `${length} ${key}=${value}\n`;
}

interface Fields {
  prefix: Buffer;
  name: Buffer;
  size: number;
  mode: number;
  mtime: number;
  type: string;
}

function header({ prefix, name, size, mode, mtime, type }: Fields): Buffer {
  const block = Buffer.alloc(BLOCK);
  name.copy(block, 0);
  octal(block, 100, 8, mode);
  octal(block, 108, 8, 0); // uid
  octal(block, 116, 8, 0); // gid
  octal(block, 124, 12, size);
  octal(block, 136, 12, mtime);
  block.fill(' ', 148, 156, 'latin1');
  block.write(type, 156, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  prefix.copy(block, 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** Digits, and a NUL at the field's end. */
function octal(block: Buffer, at: number, width: number, value: number): void {
  block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1');
}

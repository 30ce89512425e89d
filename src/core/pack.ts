import { createHash, type Hash } from 'node:crypto';
import { type Digest, digestFromBytes, digestFromHex, digestHex, digestOf, digestToBytes } from './digest.ts';
import { StoreError } from './errors.ts';
import type { Limits } from './limits.ts';

/**
 * A pack: an object that holds many small blobs, as a plain tar file (POSIX.1-1988 ustar). Its members are named
 * `sha256/<hex>`, have mode 0444, no owner and no time, and stand one after the other in the order given, so that the
 * same blobs in the same order are the same bytes, and `tar xf` gives them back without this software.
 *
 * Nothing about the frame is left open: digests and sizes of the members determine every byte that is not a member's own.
 */
export interface PackMember {
  digest: Digest;
  /** Of the first of the member's own bytes, in the pack. */
  offset: number;
  size: number;
}

const BLOCK = 512;
/** Two blocks of zeros (POSIX): what follows the last member. */
export const PACK_END_SIZE = 2 * BLOCK;
export const MEMBER_HEADER_SIZE = BLOCK;
/** As many as stand in one place. */
const ZEROS = Buffer.alloc(PACK_END_SIZE);

/** How many bytes a member takes in a pack: its header, its bytes, and zeros up to a whole block. */
export function sizeInPack(size: number): number {
  return MEMBER_HEADER_SIZE + Math.ceil(size / BLOCK) * BLOCK;
}

/** Where the members of a pack stand, and the size of it all. */
export function layoutPack(blobs: Iterable<{ digest: Digest; size: number }>): { members: PackMember[]; size: number } {
  const members: PackMember[] = [];
  let end = 0;
  for (const { digest, size } of blobs) {
    members.push({ digest, offset: end + MEMBER_HEADER_SIZE, size });
    end += sizeInPack(size);
  }
  return { members, size: end + PACK_END_SIZE };
}

const NAME = { offset: 0, prefix: 'sha256/' };
const SIZE = { offset: 124, digits: 11 };
const CHECKSUM = { offset: 148, digits: 6 };
const TEMPLATE = headerTemplate();
/** Of the header with the name's digits and the size's all NUL and the checksum's field all blanks, as POSIX counts. */
const TEMPLATE_SUM = TEMPLATE.reduce((sum, byte) => sum + byte, 0);

function headerTemplate(): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(NAME.prefix, NAME.offset, 'latin1');
  header.write('0000444\0', 100, 'latin1'); // mode
  header.write('0000000\0', 108, 'latin1'); // uid
  header.write('0000000\0', 116, 'latin1'); // gid
  header.write('00000000000\0', 136, 'latin1'); // mtime
  header.fill(' ', CHECKSUM.offset, CHECKSUM.offset + 8, 'latin1');
  header.write('0', 156, 'latin1'); // a regular file
  header.write('ustar\u000000', 257, 'latin1');
  return header;
}

/** Writes a member's header: MEMBER_HEADER_SIZE bytes, at `at` in `target`. @throws RangeError for 8 GiB and more */
export function writeMemberHeader(target: Buffer, at: number, digest: Digest, size: number): void {
  const octal = size.toString(8).padStart(SIZE.digits, '0');
  if (octal.length > SIZE.digits) throw new RangeError(`a member of a tar file has less than 8 GiB, not ${size} bytes`);
  TEMPLATE.copy(target, at);
  const name = at + NAME.offset + NAME.prefix.length;
  const nameEnd = name + target.write(digestHex(digest), name, 'latin1');
  const sizeAt = at + SIZE.offset;
  const sizeEnd = sizeAt + target.write(octal, sizeAt, 'latin1');
  let sum = TEMPLATE_SUM;
  for (let i = name; i < nameEnd; i++) sum += target[i] as number;
  for (let i = sizeAt; i < sizeEnd; i++) sum += target[i] as number;
  target.write(`${sum.toString(8).padStart(CHECKSUM.digits, '0')}\0 `, at + CHECKSUM.offset, 'latin1');
}

const MEMBER_NAME = /^sha256\/([0-9a-f]{64})\0/;
const OCTAL_SIZE = /^[0-7]{11}$/;

/** Of which member these MEMBER_HEADER_SIZE bytes are the header; null: no pack has them as a header. */
export function readMemberHeader(header: Buffer): { digest: Digest; size: number } | null {
  // Most blocks are none.
  if (header[0] !== NAME.prefix.charCodeAt(0)) return null;
  const hex = MEMBER_NAME.exec(header.toString('latin1', NAME.offset, NAME.offset + 100))?.[1];
  const octal = header.toString('latin1', SIZE.offset, SIZE.offset + SIZE.digits);
  if (hex === undefined || !OCTAL_SIZE.test(octal)) return null;
  const digest = digestFromHex(hex);
  const size = Number.parseInt(octal, 8);
  const only = Buffer.alloc(MEMBER_HEADER_SIZE);
  writeMemberHeader(only, 0, digest, size);
  return size > 0 && only.equals(header) ? { digest, size } : null;
}

/**
 * The members of a planned pack, checked: each once, none empty or too large, each where the layout puts it.
 * @throws StoreError invalid_pack, naming the member
 */
export function checkMembers(
  pack: { digest: Digest; size: number; members: readonly PackMember[] },
  limits: Pick<Limits, 'pack_member_max' | 'pack_members_max'>,
): PackMember[] {
  const { digest, size, members } = pack;
  const wrong = (reason: string, member?: Digest) =>
    new StoreError('invalid_pack', `The pack ${digest} ${reason}.`, { digest: member ?? digest, pack: digest });
  if (members.length === 0) throw wrong('has no members');
  if (members.length > limits.pack_members_max) {
    throw wrong(`has ${members.length} members; at most ${limits.pack_members_max} are accepted`);
  }
  const seen = new Set<Digest>();
  const layout = layoutPack(members);
  for (const [index, member] of members.entries()) {
    if (seen.has(member.digest)) throw wrong(`has the member ${member.digest} twice`, member.digest);
    seen.add(member.digest);
    if (member.size === 0)
      throw wrong(`has the empty member ${member.digest}: an empty file needs no place in a pack`, member.digest);
    if (member.size > limits.pack_member_max) {
      const most = `a member has at most ${limits.pack_member_max}`;
      throw wrong(`has the member ${member.digest} of ${member.size} bytes; ${most}`, member.digest);
    }
    const at = layout.members[index]?.offset;
    if (at !== member.offset) {
      const where = `in a tar file with these members it is at ${at}`;
      throw wrong(`has the member ${member.digest} at ${member.offset}; ${where}`, member.digest);
    }
  }
  if (layout.size !== size) throw wrong(`has ${size} bytes; with these members it has ${layout.size}`);
  return layout.members;
}

const RAW_DIGEST_SIZE = 32;
const ENCODED_SIZE = RAW_DIGEST_SIZE + 4;

/** A member list as the registry keeps it while the pack is uploaded: 32 bytes of digest and 4 of size, each. */
export function encodeMembers(members: readonly PackMember[]): Buffer {
  const encoded = Buffer.alloc(members.length * ENCODED_SIZE);
  for (const [index, { digest, size }] of members.entries()) {
    digestToBytes(digest).copy(encoded, index * ENCODED_SIZE);
    encoded.writeUInt32BE(size, index * ENCODED_SIZE + RAW_DIGEST_SIZE);
  }
  return encoded;
}

export function decodeMembers(encoded: Buffer): PackMember[] {
  const blobs: Array<{ digest: Digest; size: number }> = [];
  for (let at = 0; at < encoded.length; at += ENCODED_SIZE) {
    const digest = digestFromBytes(encoded.subarray(at, at + RAW_DIGEST_SIZE));
    blobs.push({ digest, size: encoded.readUInt32BE(at + RAW_DIGEST_SIZE) });
  }
  return layoutPack(blobs).members;
}

/**
 * Reads a pack's bytes as they come and holds them against its members: header by header, byte by byte. What it lets
 * pass is exactly the tar file of these members, each with its digest.
 */
export class PackVerifier {
  readonly #members: readonly PackMember[];
  readonly #header = Buffer.alloc(MEMBER_HEADER_SIZE);
  #index = 0;
  /** What comes next: the frame's bytes that are known beforehand, or a member's own. */
  #expecting: 'header' | 'bytes' | 'zeros' = 'header';
  /** How much of that has come, and is still to come. */
  #done = 0;
  #left = MEMBER_HEADER_SIZE;
  #hash: Hash | null = null;
  #position = 0;

  constructor(members: readonly PackMember[]) {
    this.#members = members;
    this.#begin();
  }

  /** @throws StoreError digest_mismatch (a member has other bytes), invalid_pack (the frame has), naming the member */
  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    for (let at = 0; at < bytes.length; ) {
      if (this.#left === 0) throw this.#wrong('continues after its end');
      const taken = bytes.subarray(at, at + this.#left);
      this.#take(taken);
      at += taken.length;
      this.#position += taken.length;
      this.#done += taken.length;
      this.#left -= taken.length;
      if (this.#left === 0) this.#next();
    }
  }

  /** @throws StoreError invalid_pack when bytes are missing */
  end(): void {
    if (this.#left > 0) throw this.#wrong(`ends after ${this.#position} bytes`);
  }

  #take(bytes: Buffer): void {
    if (this.#expecting === 'header') {
      if (!bytes.equals(this.#header.subarray(this.#done, this.#done + bytes.length))) {
        throw this.#wrong('has another header');
      }
    } else if (this.#expecting === 'zeros') {
      if (!bytes.equals(ZEROS.subarray(0, bytes.length))) throw this.#wrong('has bytes other than zeros');
    } else if (this.#done === 0 && bytes.length === this.#left) {
      this.#compare(digestOf(bytes));
    } else {
      this.#hash ??= createHash('sha256');
      this.#hash.update(bytes);
      if (bytes.length === this.#left) this.#compare(digestFromBytes(this.#hash.digest()));
    }
  }

  #compare(actual: Digest): void {
    const member = this.#members[this.#index] as PackMember;
    if (actual === member.digest) return;
    throw new StoreError('digest_mismatch', `The pack's member ${member.digest} has the digest ${actual}.`, {
      digest: member.digest,
      expected_digest: member.digest,
      actual_digest: actual,
    });
  }

  #next(): void {
    const member = this.#members[this.#index];
    this.#done = 0;
    if (this.#expecting === 'header' && member) {
      this.#expecting = 'bytes';
      this.#left = member.size;
      return;
    }
    if (this.#expecting === 'bytes' && member) {
      this.#hash = null;
      this.#expecting = 'zeros';
      this.#left = sizeInPack(member.size) - MEMBER_HEADER_SIZE - member.size;
      if (this.#left > 0) return;
    }
    if (this.#index === this.#members.length) return;
    this.#index += 1;
    this.#begin();
  }

  /** The next member's header, or the end. */
  #begin(): void {
    const member = this.#members[this.#index];
    if (member) {
      writeMemberHeader(this.#header, 0, member.digest, member.size);
      this.#expecting = 'header';
      this.#left = MEMBER_HEADER_SIZE;
    } else {
      this.#expecting = 'zeros';
      this.#left = PACK_END_SIZE;
    }
  }

  #wrong(reason: string): StoreError {
    const member = this.#members[this.#index];
    const where = member ? `where its member ${member.digest} should be` : 'where it should end';
    const extras = member ? { digest: member.digest } : {};
    return new StoreError('invalid_pack', `The pack ${reason}, ${where} (byte ${this.#position}).`, extras);
  }
}

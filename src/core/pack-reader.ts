import { createHash, type Hash } from 'node:crypto';
import { digestFromBytes } from './digest.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { MEMBER_HEADER_SIZE, PACK_END_SIZE, type PackMember, readMemberHeader, sizeInPack } from './pack.ts';

/**
 * Finds out whether bytes are a pack, and which members it has, as they come: nothing is known of it beforehand. A pack is what
 * `PackVerifier` would let pass: any other tar file is not one. Memory: a header, and the members.
 */
export class PackReader {
  readonly #header = Buffer.alloc(MEMBER_HEADER_SIZE);
  readonly #seen = new Set<string>();
  readonly #membersMax: number;
  #members: PackMember[] | null = [];
  #expecting: 'header' | 'bytes' | 'zeros' | 'end' = 'header';
  #left = MEMBER_HEADER_SIZE;
  #position = 0;
  #hash: Hash = createHash('sha256');

  constructor(membersMax = DEFAULT_LIMITS.pack_members_max) {
    this.#membersMax = membersMax;
  }

  write(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length && this.#members !== null; ) {
      const taken = chunk.subarray(at, at + this.#left);
      // Bytes after the end, or bytes that no pack has there.
      if (taken.length === 0 || !this.#take(taken)) this.#members = null;
      at += taken.length;
      this.#position += taken.length;
      this.#left -= taken.length;
      if (this.#left === 0 && this.#members !== null && !this.#next()) this.#members = null;
    }
  }

  /** @returns its members; null: it is no pack */
  end(): PackMember[] | null {
    return this.#expecting === 'end' && this.#left === 0 ? this.#members : null;
  }

  /** @returns whether it is still a pack, as in all that follow */
  #take(bytes: Uint8Array): boolean {
    if (this.#expecting === 'header') this.#header.set(bytes, MEMBER_HEADER_SIZE - this.#left);
    else if (this.#expecting === 'bytes') this.#hash.update(bytes);
    else return bytes.every((byte) => byte === 0);
    return true;
  }

  /** What was expected is there. */
  #next(): boolean {
    if (this.#expecting === 'header') return this.#begin();
    if (this.#expecting === 'bytes' && !this.#endMember()) return false;
    if (this.#expecting === 'zeros' && this.#left === 0) this.#expect('header', MEMBER_HEADER_SIZE);
    return true;
  }

  #begin(): boolean {
    if (this.#header.every((byte) => byte === 0)) {
      this.#expect('end', PACK_END_SIZE - MEMBER_HEADER_SIZE);
      return this.#seen.size > 0;
    }
    const read = readMemberHeader(this.#header);
    if (read === null) return false;
    const { digest, size } = read;
    if (this.#seen.has(digest) || this.#seen.size === this.#membersMax) return false;
    this.#seen.add(digest);
    this.#members?.push({ digest, offset: this.#position, size });
    this.#hash = createHash('sha256');
    this.#expect('bytes', size);
    return true;
  }

  #endMember(): boolean {
    const member = this.#members?.at(-1);
    if (member === undefined || digestFromBytes(this.#hash.digest()) !== member.digest) return false;
    this.#expect('zeros', sizeInPack(member.size) - MEMBER_HEADER_SIZE - member.size);
    return true;
  }

  #expect(what: 'header' | 'bytes' | 'zeros' | 'end', size: number): void {
    this.#expecting = what;
    this.#left = size;
  }
}

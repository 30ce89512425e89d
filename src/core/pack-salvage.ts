import { createHash, type Hash } from 'node:crypto';
import { type Digest, digestFromBytes } from './digest.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { MEMBER_HEADER_SIZE, type PackMember, readMemberHeader } from './pack.ts';

/** Members of a pack of which something is damaged, in the order of their offsets; they do not overlap. */
export interface Salvaged {
  /** Their bytes have their digests. */
  good: PackMember[];
  /** Their headers are right, their bytes are not, or could not be read. */
  bad: PackMember[];
}

/**
 * Finds the members of a pack that is damaged, as its bytes come. PackReader says whether all is right and stops where it is not; this
 * goes on behind it, with the next block that is a member's header. What it calls good was hashed: damage can hide a member,
 * and make none up. Memory: a header, and the members.
 */
export class PackSalvage {
  readonly #header = Buffer.alloc(MEMBER_HEADER_SIZE);
  readonly #membersMax: number;
  readonly #good = new Map<Digest, PackMember>();
  readonly #bad = new Map<Digest, PackMember>();
  #position = 0;
  #reading: 'header' | 'bytes' | 'padding' = 'header';
  /** How much of that is still to come. */
  #left = MEMBER_HEADER_SIZE;
  #member: PackMember | null = null;
  /** Some of its bytes could not be read. */
  #torn = false;
  #hash: Hash = createHash('sha256');

  constructor(membersMax = DEFAULT_LIMITS.pack_members_max) {
    this.#membersMax = membersMax;
  }

  write(bytes: Uint8Array): void {
    this.#walk(bytes.length, (from, to) => {
      const some = bytes.subarray(from, to);
      if (this.#reading === 'header') this.#header.set(some, MEMBER_HEADER_SIZE - this.#left);
      else if (this.#reading === 'bytes') this.#hash.update(some);
    });
  }

  /** So many bytes could not be read. */
  hole(size: number): void {
    const ofMember = this.#reading === 'bytes' ? Math.min(size, this.#left) : 0;
    this.#walk(ofMember, () => {
      this.#torn = true;
    });
    if (ofMember === size) return;
    this.#position += size - ofMember;
    this.#toBlock();
  }

  end(): Salvaged {
    if (this.#member !== null) this.#bad.set(this.#member.digest, this.#member);
    const bad = [...this.#bad.values()].filter(({ digest }) => !this.#good.has(digest));
    return { good: [...this.#good.values()], bad };
  }

  #walk(length: number, take: (from: number, to: number) => void): void {
    for (let at = 0; at < length; ) {
      const to = Math.min(length, at + this.#left);
      take(at, to);
      this.#position += to - at;
      this.#left -= to - at;
      at = to;
      if (this.#left === 0) this.#next();
    }
  }

  #next(): void {
    if (this.#reading === 'bytes') this.#endMember();
    const read = this.#reading === 'header' ? readMemberHeader(this.#header) : null;
    if (read === null || this.#good.size + this.#bad.size === this.#membersMax) this.#toBlock();
    else this.#begin({ ...read, offset: this.#position });
  }

  #begin(member: PackMember): void {
    this.#member = member;
    this.#hash = createHash('sha256');
    this.#torn = false;
    this.#expect('bytes', member.size);
  }

  /** Headers stand at blocks. */
  #toBlock(): void {
    const over = this.#position % MEMBER_HEADER_SIZE;
    if (over > 0) this.#expect('padding', MEMBER_HEADER_SIZE - over);
    else this.#expect('header', MEMBER_HEADER_SIZE);
  }

  #endMember(): void {
    const member = this.#member as PackMember;
    const isGood = !this.#torn && digestFromBytes(this.#hash.digest()) === member.digest;
    const found = isGood ? this.#good : this.#bad;
    if (!found.has(member.digest)) found.set(member.digest, member);
    this.#member = null;
  }

  #expect(what: 'header' | 'bytes' | 'padding', size: number): void {
    this.#reading = what;
    this.#left = size;
  }
}

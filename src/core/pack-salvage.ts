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

/** Headers that are believed beside that of the member at hand: where the bytes of one are not right, another member may begin in them. */
const DOUBTED_MAX = 16;
/** What is found may be inside of something that turns out right later; so many times what a pack has. */
const FOUND_MAX = 8;

/** Bytes behind a header, which may be its member's. */
interface Candidate {
  member: PackMember;
  hash: Hash;
  /** Bytes still to come. */
  left: number;
  /** Some could not be read. */
  torn: boolean;
}

/**
 * Finds the members of a pack that is damaged, as its bytes come. PackReader says whether all is right and stops where it is not; this
 * goes on. Headers stand at blocks: each block that is one is believed until its bytes are known, also inside of a member, whose
 * size may be wrong or whose bytes may have been shifted. What it calls good was hashed: damage can hide a member, and make none
 * up. Memory: a block, some hashes, and the members.
 */
export class PackSalvage {
  readonly #block = Buffer.alloc(MEMBER_HEADER_SIZE);
  readonly #membersMax: number;
  readonly #good: PackMember[] = [];
  readonly #bad: PackMember[] = [];
  #position = 0;
  /** Some of the block at hand could not be read. */
  #blockTorn = false;
  /** As a pack has them, one behind the other. */
  #current: Candidate | null = null;
  /** Those that begin inside of it, the oldest first. */
  #doubted: Candidate[] = [];

  constructor(membersMax = DEFAULT_LIMITS.pack_members_max) {
    this.#membersMax = membersMax;
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const inBlock = this.#position % MEMBER_HEADER_SIZE;
      const some = bytes.subarray(at, at + MEMBER_HEADER_SIZE - inBlock);
      this.#advance(some.length, (candidate, length) => candidate.hash.update(some.subarray(0, length)));
      this.#block.set(some, inBlock);
      at += some.length;
      if (this.#position % MEMBER_HEADER_SIZE > 0) continue;
      if (!this.#blockTorn) this.#begin();
      this.#blockTorn = false;
    }
  }

  /** So many bytes could not be read. */
  hole(size: number): void {
    this.#advance(size, (candidate) => {
      candidate.torn = true;
    });
    this.#blockTorn = this.#position % MEMBER_HEADER_SIZE > 0;
  }

  end(): Salvaged {
    if (this.#current !== null) this.#bad.push(this.#current.member);
    const good = apart(this.#good, []).slice(0, this.#membersMax);
    return { good, bad: apart(this.#bad, good).slice(0, this.#membersMax) };
  }

  #advance(length: number, take: (candidate: Candidate, length: number) => void): void {
    for (const candidate of this.#open()) {
      const taken = Math.min(length, candidate.left);
      take(candidate, taken);
      candidate.left -= taken;
      if (candidate.left === 0) this.#settle(candidate);
    }
    this.#position += length;
  }

  #open(): Candidate[] {
    return this.#current === null ? [...this.#doubted] : [this.#current, ...this.#doubted];
  }

  #settle(candidate: Candidate): void {
    const { member, hash, torn } = candidate;
    const isGood = !torn && digestFromBytes(hash.digest()) === member.digest;
    if (isGood) this.#good.push(member);
    else if (candidate === this.#current) this.#bad.push(member);
    if (candidate === this.#current) this.#current = null;
    else this.#doubted = this.#doubted.filter((each) => each !== candidate);
  }

  #begin(): void {
    const read = readMemberHeader(this.#block);
    if (read === null || this.#good.length + this.#bad.length >= FOUND_MAX * this.#membersMax) return;
    const member = { ...read, offset: this.#position };
    const candidate = { member, hash: createHash('sha256'), left: read.size, torn: false };
    if (this.#current === null) this.#current = candidate;
    else this.#doubted = [...this.#doubted, candidate].slice(-DOUBTED_MAX);
  }
}

/** Each digest once, in the order of their offsets: the outer one of two of which one is inside of the other; none that overlaps `others`. */
function apart(members: readonly PackMember[], others: readonly PackMember[]): PackMember[] {
  const digests = new Set<Digest>(others.map(({ digest }) => digest));
  const kept: PackMember[] = [];
  let [end, next] = [0, 0];
  for (const member of members.toSorted((a, b) => a.offset - b.offset || b.size - a.size)) {
    const { digest, offset, size } = member;
    while (next < others.length && endOf(others[next] as PackMember) <= offset) next += 1;
    const other = others[next];
    if (offset < end || digests.has(digest) || (other !== undefined && other.offset < offset + size)) continue;
    digests.add(digest);
    kept.push(member);
    end = offset + size;
  }
  return kept;
}

function endOf({ offset, size }: PackMember): number {
  return offset + size;
}

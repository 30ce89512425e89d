import type { Digest } from './digest.ts';
import type { LogicalPath } from './logical-path.ts';

/**
 * Archives for people to take away: what is in one, and where each byte of it stands. Names and sizes alone decide the layout, so the
 * length is known, and a range can begin anywhere, before any content is read.
 */
export interface ArchiveMember {
  /** In the archive: relative, UTF-8, at most some thousand bytes. */
  path: string;
  /** Bytes. */
  size: number;
  executable: boolean;
  /** Whole seconds since 1970. */
  modifiedAt: number;
  digest: Digest;
  source: ArchiveSource;
}

/** Where a member's bytes come from: a file of the package, by its path there, or made when they are asked for, the same each time. */
export type ArchiveSource = { file: LogicalPath } | { make: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array> };

/** All members in their order, in pages, from the first one each time: an archive is never whole in memory. */
export type MemberPages = () => AsyncIterable<readonly ArchiveMember[]>;

/**
 * How an archive is written: for each member a header, its bytes as they are, and a trailer; then an entry for each member again, and
 * an end. The sizes are those of what the methods of the same name give, whatever the CRC-32 is.
 */
export interface ArchiveFormat {
  /** Trailers and entries hold the CRC-32 of the members' bytes; else it is not looked at. */
  readonly needsCrc: boolean;
  headerSize(member: ArchiveMember): number;
  header(member: ArchiveMember): Buffer;
  trailerSize(member: ArchiveMember): number;
  trailer(member: ArchiveMember, crc: number): Buffer;
  /** @param offset of the member's header */
  entrySize(member: ArchiveMember, offset: number): number;
  entry(member: ArchiveMember, offset: number, crc: number): Buffer;
  endSize(totals: ArchiveTotals): number;
  end(totals: ArchiveTotals): Buffer;
}

export interface ArchiveTotals {
  members: number;
  /** Where the members end and their entries begin. */
  entriesAt: number;
  /** Where the entries end. */
  endAt: number;
}

export interface ArchivePlan extends ArchiveTotals {
  /** Of the whole archive. */
  size: number;
}

/** Adds up where members and entries stand. */
export class ArchivePlanner {
  readonly #format: ArchiveFormat;
  #members = 0;
  #at = 0;
  #entries = 0;

  constructor(format: ArchiveFormat) {
    this.#format = format;
  }

  /** @returns the offset of the member's header */
  add(member: ArchiveMember): number {
    const offset = this.#at;
    this.#entries += this.#format.entrySize(member, offset);
    this.#at += sizeInArchive(this.#format, member);
    this.#members += 1;
    return offset;
  }

  end(): ArchivePlan {
    const totals = { members: this.#members, entriesAt: this.#at, endAt: this.#at + this.#entries };
    return { ...totals, size: totals.endAt + this.#format.endSize(totals) };
  }
}

/** Reads all names and sizes once. */
export async function planArchive(format: ArchiveFormat, pages: MemberPages): Promise<ArchivePlan> {
  const planner = new ArchivePlanner(format);
  for await (const page of pages()) for (const member of page) planner.add(member);
  return planner.end();
}

/** Without its entry. */
export function sizeInArchive(format: ArchiveFormat, member: ArchiveMember): number {
  return format.headerSize(member) + member.size + format.trailerSize(member);
}

import { crc32 } from 'node:zlib';
import {
  type ArchiveFormat,
  type ArchiveMember,
  type ArchivePlan,
  type MemberPages,
  sizeInArchive,
} from './archive.ts';
import type { CrcTable } from './crc-table.ts';

/**
 * Gives the contents of these members, none of them empty, one after the other; no chunk has bytes of two. Of a member whose bytes are
 * not those of its digest it throws before the last of them, so that nobody gets all of the wrong ones.
 */
export type ReadMembers = (members: readonly ArchiveMember[]) => AsyncGenerator<Uint8Array>;

export interface ArchiveJob {
  format: ArchiveFormat;
  /** Of the same format and members. */
  plan: ArchivePlan;
  pages: MemberPages;
  read: ReadMembers;
  /** What is known from earlier reads of this very archive; gets what this one learns. */
  crcs: CrcTable;
  /** Ends reading when nobody waits for the bytes any more: before the range there is nothing to give out. */
  signal?: AbortSignal | undefined;
}

/** Bytes from `from` to before `to`. */
interface Span {
  from: number;
  to: number;
}

interface Placed {
  member: ArchiveMember;
  index: number;
  /** Of its header. */
  at: number;
  contentAt: number;
  trailerAt: number;
  endAt: number;
}

/**
 * A range of an archive. A member is read from its first byte on even where the range begins later, so that its last bytes are
 * never given out before all of it was checked. Where an entry's CRC-32 is not known, its member is read once more for that.
 */
export async function* archiveBytes(
  job: ArchiveJob,
  range: { offset: number; size: number },
): AsyncGenerator<Uint8Array> {
  const { format, plan } = job;
  const span = { from: range.offset, to: range.offset + range.size };
  if (meets(span, 0, plan.entriesAt)) yield* memberBytes(job, span);
  if (meets(span, plan.entriesAt, plan.endAt)) yield* entryBytes(job, span);
  if (meets(span, plan.endAt, plan.size)) yield cut(format.end(plan), plan.endAt, span);
}

async function* memberBytes(job: ArchiveJob, span: Span): AsyncGenerator<Uint8Array> {
  const { format, crcs } = job;
  for await (const page of placedPages(job)) {
    const wanted = page.filter(({ at, endAt }) => meets(span, at, endAt));
    const needed = new Set(wanted.filter((placed) => needsContent(job, span, placed)));
    const contents = job.read([...needed].map(({ member }) => member));
    try {
      for (const placed of wanted) {
        const { member, index, at, contentAt, trailerAt, endAt } = placed;
        if (meets(span, at, contentAt)) yield cut(format.header(member), at, span);
        if (needed.has(placed)) yield* contentBytes(job, contents, placed, span);
        if (meets(span, trailerAt, endAt)) yield cut(format.trailer(member, crcs.get(index) ?? 0), trailerAt, span);
      }
    } finally {
      await contents.return(undefined);
    }
    if ((page.at(-1)?.endAt ?? 0) >= span.to) return;
  }
}

function needsContent({ format, crcs }: ArchiveJob, span: Span, placed: Placed): boolean {
  const { member, index, contentAt, trailerAt, endAt } = placed;
  if (member.size === 0) return false;
  if (meets(span, contentAt, trailerAt)) return true;
  return format.needsCrc && crcs.get(index) === null && meets(span, trailerAt, endAt);
}

/** What the span has of the next content. */
async function* contentBytes(
  { format, crcs, signal }: ArchiveJob,
  contents: AsyncIterator<Uint8Array>,
  { index, contentAt, trailerAt }: Placed,
  span: Span,
): AsyncGenerator<Uint8Array> {
  let crc = 0;
  for (let at = contentAt; at < trailerAt; ) {
    // Nobody asked for the rest.
    if (at >= span.to) return;
    signal?.throwIfAborted();
    const next = await contents.next();
    if (next.done) throw new RangeError(`a member's content ends ${trailerAt - at} bytes too early`);
    const bytes: Uint8Array = next.value;
    if (format.needsCrc) crc = crc32(bytes, crc);
    if (meets(span, at, at + bytes.length)) yield cut(bytes, at, span);
    at += bytes.length;
  }
  if (format.needsCrc) crcs.set(index, crc);
}

async function* entryBytes(job: ArchiveJob, span: Span): AsyncGenerator<Uint8Array> {
  const { format, crcs, plan } = job;
  let at = plan.entriesAt;
  for await (const page of placedPages(job)) {
    const wanted: Array<Placed & { entryAt: number }> = [];
    for (const placed of page) {
      const size = format.entrySize(placed.member, placed.at);
      if (meets(span, at, at + size)) wanted.push({ ...placed, entryAt: at });
      at += size;
    }
    if (format.needsCrc) await learnCrcs(job, wanted);
    for (const { member, index, at: offset, entryAt } of wanted)
      yield cut(format.entry(member, offset, crcs.get(index) ?? 0), entryAt, span);
    if (at >= span.to) return;
  }
}

/** Reads those members whose CRC-32 is not known. */
async function learnCrcs(job: ArchiveJob, wanted: readonly Placed[]): Promise<void> {
  const unknown = wanted.filter(({ member, index }) => member.size > 0 && job.crcs.get(index) === null);
  const contents = job.read(unknown.map(({ member }) => member));
  try {
    for (const placed of unknown) {
      const all = { from: placed.contentAt, to: placed.trailerAt };
      for await (const _ of contentBytes(job, contents, placed, all));
    }
  } finally {
    await contents.return(undefined);
  }
}

async function* placedPages({ format, pages }: ArchiveJob): AsyncGenerator<Placed[]> {
  let [at, index] = [0, 0];
  for await (const page of pages()) {
    const placed: Placed[] = [];
    for (const member of page) {
      const contentAt = at + format.headerSize(member);
      const trailerAt = contentAt + member.size;
      const endAt = at + sizeInArchive(format, member);
      placed.push({ member, index, at, contentAt, trailerAt, endAt });
      at = endAt;
      index += 1;
    }
    yield placed;
  }
}

function meets(span: Span, from: number, to: number): boolean {
  return from < to && from < span.to && to > span.from;
}

/** What the span has of bytes that stand at `at`. */
function cut(bytes: Uint8Array, at: number, { from, to }: Span): Uint8Array {
  return bytes.subarray(Math.max(from - at, 0), to - at);
}

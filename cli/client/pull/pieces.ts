import type { PackageFile } from '../package-file.ts';
import type { Source } from './signed-get.ts';

/** The bytes of one digest, where they are, and the files that are made of them. */
export interface Piece {
  digest: string;
  size: number;
  files: PackageFile[];
  place: { source: Source; offset: number };
}

/** Bytes of one source that are read in one go, and the pieces in them, by offset. */
export interface Span {
  source: Source;
  offset: number;
  size: number;
  pieces: Piece[];
}

/** Up to here a piece is kept in memory until it is whole and checked. */
const SMALL_MAX = 4 * 1024 ** 2;
/** So many bytes that nobody wants are read rather than asking twice. */
const GAP_MAX = 256 * 1024;

/** Those without bytes, those that fit into memory, and the others. */
export function bySize(pieces: readonly Piece[]): { empty: Piece[]; small: Piece[]; large: Piece[] } {
  return {
    empty: pieces.filter(({ size }) => size === 0),
    small: pieces.filter(({ size }) => size > 0 && size <= SMALL_MAX),
    large: pieces.filter(({ size }) => size > SMALL_MAX),
  };
}

/** Joins pieces that stand near each other in their source, so that a pack is read once and in one go. */
export function spansOf(pieces: readonly Piece[]): Span[] {
  const spans: Span[] = [];
  for (const [source, within] of Map.groupBy(pieces, ({ place }) => place.source)) {
    const gap = isBound(source) ? Number.POSITIVE_INFINITY : GAP_MAX;
    let span: Span | undefined;
    for (const piece of within.toSorted((a, b) => a.place.offset - b.place.offset)) {
      const { offset } = piece.place;
      const end = offset + piece.size;
      if (span === undefined || offset > span.offset + span.size + gap) {
        span = { source, offset, size: piece.size, pieces: [piece] };
        spans.push(span);
      } else {
        span.pieces.push(piece);
        span.size = Math.max(span.size, end - span.offset);
      }
    }
  }
  return spans;
}

/** Whatever of it is wanted, its one range comes whole. */
export function isBound({ headers }: Source): boolean {
  return Object.keys(headers).some((name) => name.toLowerCase() === 'range');
}

/**
 * Cuts a span's pieces out of its bytes as they arrive; pieces may overlap. Memory: the pieces that have begun and not
 * ended, and what arrived last. A piece that came in one chunk is a view of it: use it before asking for the next.
 */
export async function* cutPieces(
  bytes: AsyncIterable<Buffer>,
  { offset, pieces }: Pick<Span, 'offset' | 'pieces'>,
): AsyncGenerator<{ piece: Piece; bytes: Buffer }> {
  let at = offset;
  let next = 0;
  let begun: Array<{ piece: Piece; buffer: Buffer; filled: number }> = [];
  for await (const chunk of bytes) {
    const end = at + chunk.length;
    for (const open of begun) open.filled += chunk.copy(open.buffer, open.filled);
    const full = begun.filter(({ buffer, filled }) => filled === buffer.length);
    if (full.length > 0) begun = begun.filter(({ buffer, filled }) => filled < buffer.length);
    for (const { piece, buffer } of full) yield { piece, bytes: buffer };
    for (; next < pieces.length; next += 1) {
      const piece = pieces[next] as Piece;
      const start = piece.place.offset - at;
      if (start >= chunk.length) break;
      if (piece.place.offset + piece.size <= end) {
        yield { piece, bytes: chunk.subarray(start, start + piece.size) };
      } else {
        const buffer = Buffer.allocUnsafe(piece.size);
        begun.push({ piece, buffer, filled: chunk.copy(buffer, 0, start) });
      }
    }
    at = end;
  }
}

import type { Readable } from 'node:stream';
import { type CutLine, LineCutter } from '../core/line-cutter.ts';
import type { Readability } from './read-file.ts';

/** What is read of a file to show a part of it. */
export const PAGE_BYTES = 256 * 1024;
export const PAGE_LINES = 4_000;
/** What is shown of one line. */
const LINE_BYTES = 16 * 1024;
/** Files up to this size are read whole, and checked before anything of them is shown. */
export const CHECKED_MAX = 1024 ** 2;
/** What one search, or one way to a line, reads: so many bytes, and so many lines. */
export const SCAN_BYTES = 32 * 1024 ** 2;
const SCAN_LINES = 1_000_000;
export const HITS_MAX = 200;

/** Where a line begins: its byte, and its number from 1 on. */
export interface LinePlace {
  at: number;
  line: number;
}

export interface TextPage {
  lines: CutLine[];
  /** Where the next page begins; null: this is the last. */
  next: LinePlace | null;
  /** It has a byte that no text has. */
  binary: boolean;
}

type Content = Pick<Readability, 'size' | 'openWhole' | 'openRange'>;

/** The lines from a place on: as many as are shown at once. A line that is longer goes on, on the next page. */
export async function readPage(content: Content, from: LinePlace): Promise<TextPage> {
  const to = Math.min(content.size, from.at + PAGE_BYTES);
  const bytes = from.at < to ? await read(content, from.at, to) : Buffer.alloc(0);
  const cutter = new LineCutter(LINE_BYTES, from.at, from.line);
  const lines: CutLine[] = [];
  for (const line of cutter.take(bytes)) {
    if (lines.length === PAGE_LINES)
      return { lines, next: { at: line.at, line: line.number }, binary: isBinary(bytes) };
    lines.push(line);
  }
  const { place } = cutter;
  const rest = cutter.rest();
  const isLast = to === content.size;
  if (rest !== null && (isLast || lines.length === 0)) lines.push(rest);
  const next = isLast ? null : lines.at(-1) === rest ? { at: to, line: place.line } : place;
  return { lines, next, binary: isBinary(bytes) };
}

/** Every line that has a text, wherever letters are large or small in it. Ends after so many of them, or so many bytes. */
export async function searchLines(
  content: Content,
  sought: string,
  from: LinePlace,
  textOf: (line: CutLine) => string,
): Promise<{ hits: CutLine[]; next: LinePlace | null }> {
  const wanted = sought.toLowerCase();
  const hits: CutLine[] = [];
  const { next } = await scan(content, from, (line) => {
    if (textOf(line).toLowerCase().includes(wanted)) hits.push(line);
    return hits.length < HITS_MAX;
  });
  return { hits, next };
}

/** Where a line begins; the last one of a shorter file. Null: it is farther than what is read to find it. */
export async function findLine(content: Content, number: number): Promise<LinePlace | null> {
  let found: LinePlace = { at: 0, line: 1 };
  const { next } = await scan(content, found, (line) => {
    found = { at: line.at, line: line.number };
    return line.number < number;
  });
  return next === null || found.line >= number ? found : null;
}

/** Shows lines, one after the other, until `more` has enough. @returns where it goes on; null: it was all */
async function scan(
  content: Content,
  from: LinePlace,
  more: (line: CutLine) => boolean,
): Promise<{ next: LinePlace | null }> {
  const to = Math.min(content.size, from.at + SCAN_BYTES);
  const cutter = new LineCutter(LINE_BYTES, from.at, from.line);
  let seen = 0;
  if (from.at < to) {
    const stream = await content.openRange({ offset: from.at, size: to - from.at });
    try {
      for await (const piece of stream as AsyncIterable<Buffer>) {
        for (const line of cutter.take(piece)) {
          seen += 1;
          if (!more(line) || seen === SCAN_LINES) return { next: cutter.place };
        }
      }
    } finally {
      stream.destroy();
    }
  }
  if (to < content.size)
    return { next: cutter.place.at > from.at ? cutter.place : { at: to, line: cutter.place.line } };
  const rest = cutter.rest();
  if (rest !== null) more(rest);
  return { next: null };
}

async function read(content: Content, from: number, to: number): Promise<Buffer> {
  if (content.size <= CHECKED_MAX) {
    const whole = await content.openWhole();
    return (Buffer.isBuffer(whole) ? whole : await collect(whole)).subarray(from, to);
  }
  return collect(await content.openRange({ offset: from, size: to - from }));
}

async function collect(stream: Readable): Promise<Buffer> {
  return Buffer.concat(await stream.toArray());
}

function isBinary(bytes: Buffer): boolean {
  return bytes.includes(0);
}

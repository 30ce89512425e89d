/** Ranges that a large file arrives in. Pure. */
export interface FileRange {
  index: number;
  offset: number;
  size: number;
}

/** Small enough that little is lost with a connection or a process, large enough that a request costs nothing beside it. */
export const RANGE_SIZE = 8 * 1024 ** 2;

/** @param size the file's */
export function rangeAt(index: number, size: number): FileRange {
  const offset = index * RANGE_SIZE;
  return { index, offset, size: Math.min(RANGE_SIZE, size - offset) };
}

export function rangeCount(size: number): number {
  return Math.ceil(size / RANGE_SIZE);
}

export function rangesOf(size: number): FileRange[] {
  return Array.from({ length: rangeCount(size) }, (_, index) => rangeAt(index, size));
}

/** What a journal of the ranges of such a file begins with. */
export function journalTitle(size: number): string {
  return `artifact-store ranges 1: ${size} bytes by ${RANGE_SIZE}`;
}

/** The ranges that a journal lists and that lie in the bytes that are there; of a journal of another file, none. */
export function readJournal(text: string, size: number, there: number): Set<number> {
  const [title, ...lines] = text.split('\n');
  if (title !== journalTitle(size)) return new Set();
  const indexes = lines
    .slice(0, -1)
    .filter((line) => /^\d{1,9}$/.test(line))
    .map(Number)
    .filter((index) => {
      const range = rangeAt(index, size);
      return range.size > 0 && range.offset + range.size <= there;
    });
  return new Set(indexes);
}

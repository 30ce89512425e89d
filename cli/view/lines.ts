import { printable } from '../format.ts';
import { dim, type Piece } from '../text.ts';

/** A label and its value; further texts go below the first. */
export type Line = readonly [label: string, ...texts: string[]];

/** Labels in one column, texts in the next; a line break in a text does not begin a line. */
export function alignLines(lines: readonly Line[]): Piece[] {
  const width = Math.max(0, ...lines.map(([label]) => printable(label).length));
  return lines
    .flatMap(([label, ...texts]) =>
      texts.map(
        (text, nth) => [dim((nth === 0 ? printable(label) : '').padEnd(width)), `  ${printable(text)}`] as const,
      ),
    )
    .flatMap((line, nth) => (nth === 0 ? line : ['\n', ...line]));
}

/** A line that belongs to a heading. */
export function indented([label, ...texts]: Line): Line {
  return [`  ${label}`, ...texts];
}

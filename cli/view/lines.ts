import { printable } from '../format.ts';

/** A label and what stands beside it; further texts go below the first. */
export type Line = readonly [label: string, ...texts: string[]];

/** Labels in one column, texts in the next. Every text may come from elsewhere, so no control character gets through. */
export function alignLines(lines: readonly Line[], paint: Paint): string {
  const width = Math.max(0, ...lines.map(([label]) => printable(label).length));
  return lines
    .flatMap(([label, ...texts]) =>
      texts.map((text, nth) => `${paint.dim((nth === 0 ? printable(label) : '').padEnd(width))}  ${printable(text)}`),
    )
    .join('\n');
}

/** Colours, or nothing of the kind. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
}

const wrap =
  (open: number, close: number) =>
  (text: string): string =>
    text.trim() === '' ? text : `\x1b[${open}m${text}\x1b[${close}m`;
const COLOUR: Paint = { bold: wrap(1, 22), dim: wrap(2, 22) };
const PLAIN: Paint = { bold: (text) => text, dim: (text) => text };

/** On a terminal that has not been told NO_COLOR (no-color.org). */
export function paintFor(stdout: { isTTY?: boolean }, env: Record<string, string | undefined>): Paint {
  return stdout.isTTY && !env.NO_COLOR && env.TERM !== 'dumb' ? COLOUR : PLAIN;
}

/** JSON for a terminal: control characters that JSON leaves as they are (C1, direction marks) are escaped too. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value, null, 2).split('\n').map(printable).join('\n');
}

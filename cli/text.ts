import { printable } from './format.ts';

/** Text for people: lines, in which pieces may stand out. None of it can drive a terminal once it is rendered. */
export type Text = string | readonly Piece[];
export type Piece = string | { style: Style; text: string };
export type Style = 'bold' | 'dim';

const SGR: Record<Style, readonly [on: number, off: number]> = { bold: [1, 22], dim: [2, 22] };

export function bold(text: string): Piece {
  return { style: 'bold', text };
}

export function dim(text: string): Piece {
  return { style: 'dim', text };
}

/**
 * The one way in which text reaches a terminal: whatever it was made of, the only escape sequences in it are our own, and the
 * only control characters line breaks. Who puts foreign text into a line makes its line breaks visible too (`printable`).
 */
export function renderText(text: Text, colours: boolean): string {
  if (typeof text === 'string') return printableLines(text);
  return text.map((piece) => (typeof piece === 'string' ? printableLines(piece) : paint(piece, colours))).join('');
}

/** JSON for people and programs: characters that drive a terminal and that JSON would leave as they are (C1, DEL, direction marks) are escaped. */
export function renderJson(value: unknown): string {
  return printableLines(JSON.stringify(value, null, 2));
}

/** On a terminal that has not been told NO_COLOR (no-color.org). */
export function coloursFor(stdout: { isTTY?: boolean }, env: Record<string, string | undefined>): boolean {
  return Boolean(stdout.isTTY) && !env.NO_COLOR && env.TERM !== 'dumb';
}

function paint({ style, text }: { style: Style; text: string }, colours: boolean): string {
  const safe = printableLines(text);
  if (!colours || safe.trim() === '') return safe;
  const [on, off] = SGR[style];
  return `\x1b[${on}m${safe}\x1b[${off}m`;
}

function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

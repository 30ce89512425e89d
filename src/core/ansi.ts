/**
 * What terminals are told by escape sequences (ECMA-48), as data: runs of text and how each looks. Only colours and weights are
 * understood (SGR); every other sequence is left out. Nothing of it is markup: whoever shows a run escapes its text.
 */
export interface AnsiStyle {
  /** 0–15: the colours of terminals; null: as everything else. */
  foreground: number | null;
  background: number | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  strike: boolean;
  inverse: boolean;
}

export interface AnsiRun {
  text: string;
  style: Readonly<AnsiStyle>;
}

export const PLAIN: Readonly<AnsiStyle> = {
  foreground: null,
  background: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  strike: false,
  inverse: false,
};

const STRING_END = String.raw`(?:\u0007|\u001b\\|\u009c|$)`;
/** CSI with its end, OSC and the other strings up to BEL or ST, other escapes; C1 as one character, too. */
const SEQUENCE = new RegExp(
  [
    String.raw`(?:\u001b\[|\u009b)([\x30-\x3f]*)[\x20-\x2f]*([\x40-\x7e])`,
    String.raw`(?:\u001b[\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\u0007\u001b\u009c]*${STRING_END}`,
    String.raw`\u001b[\x20-\x2f]*[\x30-\x7e]`,
  ].join('|'),
  'g',
);

/**
 * The runs of one line. @param before how the line before ended @returns with how this one ends
 */
export function ansiRuns(
  line: string,
  before: Readonly<AnsiStyle> = PLAIN,
): { runs: AnsiRun[]; after: Readonly<AnsiStyle> } {
  const runs: AnsiRun[] = [];
  let style = before;
  let at = 0;
  const add = (text: string): void => {
    if (text !== '') runs.push({ text, style });
  };
  for (const match of line.matchAll(SEQUENCE)) {
    add(line.slice(at, match.index));
    at = match.index + match[0].length;
    if (match[2] === 'm') style = changed(style, match[1] ?? '');
  }
  add(line.slice(at));
  return { runs, after: style };
}

/** Parameters of one sequence that are looked at. */
const PARAMETERS_MAX = 32;

function changed(style: Readonly<AnsiStyle>, parameters: string): Readonly<AnsiStyle> {
  if (!/^[\d;:]*$/.test(parameters)) return style;
  const codes = parameters.split(/[;:]/, PARAMETERS_MAX).map(Number);
  let next: AnsiStyle = { ...style };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] as number;
    if (code === 0) next = { ...PLAIN };
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(codes.slice(at + 1));
      if (code === 38) next.foreground = colour;
      else next.background = colour;
      at += used;
    } else Object.assign(next, CHANGES.get(code));
  }
  return next;
}

const CHANGES: ReadonlyMap<number, Partial<AnsiStyle>> = new Map<number, Partial<AnsiStyle>>([
  [1, { bold: true }],
  [2, { dim: true }],
  [3, { italic: true }],
  [4, { underline: true }],
  [7, { inverse: true }],
  [9, { strike: true }],
  [21, { underline: true }],
  [22, { bold: false, dim: false }],
  [23, { italic: false }],
  [24, { underline: false }],
  [27, { inverse: false }],
  [29, { strike: false }],
  [39, { foreground: null }],
  [49, { background: null }],
  ...Array.from({ length: 8 }, (_, n) => [30 + n, { foreground: n }] as const),
  ...Array.from({ length: 8 }, (_, n) => [40 + n, { background: n }] as const),
  ...Array.from({ length: 8 }, (_, n) => [90 + n, { foreground: 8 + n }] as const),
  ...Array.from({ length: 8 }, (_, n) => [100 + n, { background: 8 + n }] as const),
]);

/** `5;n` of 256 colours, `2;r;g;b` of all: the nearest of the sixteen. @returns it, and how many codes it was */
function extended(codes: readonly number[]): [colour: number | null, used: number] {
  const [kind, a = 0, b = 0, c = 0] = codes;
  if (kind === 2) return [nearest([a, b, c]), 4];
  if (kind !== 5) return [null, 1];
  if (a < 16) return [Math.trunc(a), 2];
  if (a > 255) return [null, 2];
  if (a >= 232) return [nearest(Array(3).fill(8 + 10 * (a - 232))), 2];
  const level = (n: number): number => (n === 0 ? 0 : 55 + 40 * n);
  const cube = a - 16;
  return [nearest([level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)]), 2];
}

function nearest(rgb: readonly number[]): number {
  let best = 0;
  let distance = Number.POSITIVE_INFINITY;
  for (const [index, colour] of SIXTEEN.entries()) {
    const away = colour.reduce((sum, part, n) => sum + (part - (rgb[n] as number)) ** 2, 0);
    if (away < distance) [best, distance] = [index, away];
  }
  return best;
}

/** As xterm has them. */
const SIXTEEN: ReadonlyArray<readonly number[]> = [
  [0, 0, 0],
  [205, 0, 0],
  [0, 205, 0],
  [205, 205, 0],
  [0, 0, 238],
  [205, 0, 205],
  [0, 205, 205],
  [229, 229, 229],
  [127, 127, 127],
  [255, 0, 0],
  [0, 255, 0],
  [255, 255, 0],
  [92, 92, 255],
  [255, 0, 255],
  [0, 255, 255],
  [255, 255, 255],
];

import { type Field, type Spread, spreadOf, toolsOf } from './field.ts';
import type { Job, Tool } from './tools.ts';

const WIDTH = 960;
const LEFT = 210;
const RIGHT = 70;
const ROW = 20;
const HEAD = 46;
/** Seconds at both ends of the axis. */
const LEAST = 0.1;
const MOST = 100;
const SHOWN: ReadonlyArray<{ job: Job; title: string }> = [
  { job: 'push', title: 'push' },
  { job: 'again', title: 'push again, unchanged' },
  { job: 'pull', title: 'pull' },
];

/** Dots at medians, lines from least to most, on a logarithmic axis of seconds: one panel for each data set, store and job. */
export function chartOf(fields: readonly Field[], tools: readonly Tool[]): string {
  let y = 34;
  const panels: string[] = [];
  for (const field of fields) {
    for (const { job, title } of SHOWN) {
      const rows = toolsOf(field, tools).flatMap((tool) => {
        const spread = spreadOf(field, tool, job);
        return spread ? [{ tool, spread }] : [];
      });
      panels.push(panelOf(`${field.set.title}, ${field.store.title}: ${title}`, rows, y));
      y += HEAD + rows.length * ROW;
    }
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 10}" font-family="system-ui, sans-serif" font-size="13">`,
    '<title>Seconds of each tool for each job, on each data set and store</title>',
    '<style>text{fill:#1f2328}.grid{stroke:#d0d7de}.ours{fill:#0969da;stroke:#0969da}.peer{fill:#6e7781;stroke:#6e7781}.back{fill:#fff}',
    '@media (prefers-color-scheme: dark){text{fill:#e6edf3}.grid{stroke:#30363d}.ours{fill:#58a6ff;stroke:#58a6ff}.peer{fill:#8b949e;stroke:#8b949e}.back{fill:#0d1117}}</style>',
    `<rect class="back" width="${WIDTH}" height="${y + 10}"/>`,
    `<text x="16" y="22" font-size="15" font-weight="600">Seconds (logarithmic): dot at the median, line from least to most</text>`,
    ...panels,
    '</svg>',
    '',
  ].join('\n');
}

function panelOf(title: string, rows: ReadonlyArray<{ tool: string; spread: Spread }>, top: number): string {
  const bottom = top + HEAD - 8 + rows.length * ROW;
  const grid = [0.1, 1, 10, 100].map((value) => {
    const x = place(value);
    return `<line class="grid" x1="${x}" x2="${x}" y1="${top + 30}" y2="${bottom}"/><text x="${x}" y="${top + 27}" font-size="10" text-anchor="middle">${value} s</text>`;
  });
  const lines = rows.map(({ tool, spread }, index) => {
    const y = top + HEAD + index * ROW;
    const kind = tool.startsWith('artifact-store') ? 'ours' : 'peer';
    return [
      `<text x="${LEFT - 12}" y="${y + 4}" text-anchor="end">${escaped(tool)}</text>`,
      `<line class="${kind}" stroke-width="3" x1="${place(spread.low)}" x2="${place(spread.high)}" y1="${y}" y2="${y}"/>`,
      `<circle class="${kind}" cx="${place(spread.median)}" cy="${y}" r="5"/>`,
      `<text x="${place(spread.high) + 12}" y="${y + 4}" font-size="12">${spread.median.toFixed(2)}</text>`,
    ].join('');
  });
  return [`<text x="16" y="${top + 14}" font-weight="600">${escaped(title)}</text>`, ...grid, ...lines].join('\n');
}

function place(seconds: number): number {
  const share = Math.log(Math.max(LEAST, seconds) / LEAST) / Math.log(MOST / LEAST);
  return Math.round((LEFT + share * (WIDTH - LEFT - RIGHT)) * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

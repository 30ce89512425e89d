import { raw } from 'hono/html';
import { type AnsiStyle, ansiRuns, PLAIN } from '../../core/ansi.ts';
import type { CutLine } from '../../core/line-cutter.ts';
import { shownText } from '../../core/shown-text.ts';
import { escapeHtml } from '../../http/html-page.ts';
import type { Html } from '../html.ts';

/**
 * Thousands of lines are put together as texts, which takes a tenth of what templates do. `escaped` makes them harmless: nothing of a file
 * goes into the markup by any other way.
 */

/** What a line is to whoever looks at it: without escape sequences. */
export function plainText(line: Pick<CutLine, 'bytes'>): string {
  return ansiRuns(decode(line.bytes))
    .runs.map(({ text }) => text)
    .join('');
}

/** Lines with their numbers, each of which can be linked to. @param hidden numbers of lines that are not shown, and why */
export function linesMarkup(lines: readonly CutLine[], hidden: ReadonlyMap<number, string>): Html {
  let style: Readonly<AnsiStyle> = PLAIN;
  const rows = lines.map((line) => {
    const { runs, after } = ansiRuns(decode(line.bytes), style);
    style = after;
    const why = hidden.get(line.number);
    const shown =
      why === undefined
        ? runs.map(({ text, style }) => runMarkup(text, style)).join('')
        : `<em class="hidden-line">not shown: ${escaped(why)}</em>`;
    return numbered(line.number, ` id="L${line.number}"`, `#L${line.number}`, shown);
  });
  return region('Content', rows);
}

/** Lines that were found, each with a link to where it stands. @param hrefOf where a line is shown among its neighbours */
export function hitsMarkup(lines: readonly CutLine[], sought: string, hrefOf: (line: CutLine) => string): Html {
  const rows = lines.map((line) => numbered(line.number, '', hrefOf(line), marked(plainText(line), sought)));
  return region('Lines found', rows);
}

function region(label: string, rows: readonly string[]): Html {
  return raw(`<pre class="lines" tabindex="0" role="region" aria-label="${label}">${rows.join('')}</pre>`) as Html;
}

function numbered(number: number, id: string, href: string, content: string): string {
  return `<span class="line"><a class="n"${id} href="${escaped(href)}">${number}</a><span class="c">${content}</span>\n</span>`;
}

/** What was sought stands out, wherever letters are large or small. */
function marked(text: string, sought: string): string {
  const [within, wanted] = [text.toLowerCase(), sought.toLowerCase()];
  // Few letters have another length in the other case: then nothing stands out.
  if (within.length !== text.length || wanted.length !== sought.length) return escaped(text);
  const parts: string[] = [];
  let from = 0;
  for (let at = within.indexOf(wanted); at !== -1; at = within.indexOf(wanted, from)) {
    parts.push(escaped(text.slice(from, at)), `<mark>${escaped(text.slice(at, at + wanted.length))}</mark>`);
    from = at + wanted.length;
  }
  return [...parts, escaped(text.slice(from))].join('');
}

function runMarkup(text: string, style: Readonly<AnsiStyle>): string {
  const names = classesOf(style);
  return names === '' ? escaped(text) : `<span class="${names}">${escaped(text)}</span>`;
}

function classesOf({ foreground, background, ...flags }: Readonly<AnsiStyle>): string {
  const names = Object.entries(flags)
    .filter(([, on]) => on)
    .map(([name]) => `a-${name}`);
  if (foreground !== null) names.push(`a-f${foreground}`);
  if (background !== null) names.push(`a-b${background}`);
  return names.join(' ');
}

/** For content, and for attributes in double quotes. */
function escaped(text: string): string {
  return escapeHtml(shownText(text));
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

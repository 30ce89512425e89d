import { evidenceKind } from '../../core/evidence-kind.ts';
import { indentJson } from '../../core/indent-json.ts';
import { type CutLine, LineCutter } from '../../core/line-cutter.ts';
import { type FileSecrets, secretsOfFile } from '../../core/secret-places.ts';
import type { ReadableFile } from '../../usecases/read-file.ts';
import type { PackageRecord } from '../../usecases/records.ts';
import {
  CHECKED_MAX,
  findLine,
  HITS_MAX,
  type LinePlace,
  PAGE_BYTES,
  readPage,
  searchLines,
  type TextPage,
} from '../../usecases/view-text.ts';
import { type Html, html } from '../html.ts';
import { sizeMarkup } from '../words.ts';
import { hitsMarkup, linesMarkup, plainText } from './lines.ts';
import { type EvidenceLinks, placeQuery } from './links.ts';
import type { ViewQuery } from './view-query.ts';

/** One file of a package, and how it is looked at. */
export interface Viewed {
  pkg: Pick<PackageRecord, 'metadata'>;
  readable: ReadableFile;
  links: EvidenceLinks;
  query: ViewQuery;
}

/** What a page shows of a file: what it is, and its content in a form that cannot do anything to the page. */
export async function viewFile(viewed: Viewed): Promise<Html> {
  const { readable, links, query } = viewed;
  const { path, size, digest, media_type } = readable.file;
  const { kind } = evidenceKind(path, media_type);
  const secrets = secretsOfFile(viewed.pkg.metadata, path);
  const asText = kind === 'text' || kind === 'json' || (kind === 'active' && query.source);
  const content = asText || kind === 'none' ? await textMarkup(viewed, secrets, kind) : framed(viewed, kind);
  const other =
    kind === 'active' || kind === 'json'
      ? query.source
        ? html`<a href="${links.page(path)}">${kind === 'json' ? 'Indented' : 'As a page'}</a>`
        : html`<a href="${links.page(path, { view: 'source' })}">Source</a>`
      : null;
  return html`<link rel="stylesheet" href="/ui/evidence.css">
<p class="facts">${sizeMarkup(size)} <code>${digest}</code> <a href="${links.download(path)}" download>Download</a> ${other}</p>
${secretsNote(secrets, asText)}
${content}`;
}

/** What is not text: shown by the browser, from an address that is nobody. */
function framed({ readable, links, query }: Viewed, kind: string): Html {
  const { path } = readable.file;
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (kind === 'image') return html`<p class="image"><img src="${links.raw(path)}" alt="${name}"></p>`;
  // Readers run its scripts, which no policy forbids: none is opened unasked.
  if (kind === 'pdf' && !query.reader) {
    return html`<p class="note">A PDF opens in the browser's own reader, which may run scripts of the PDF: message boxes that look like the service's, and links that lead this page to another site.</p>
<p><a href="${links.page(path, { view: 'reader' })}">Open it in the browser's reader</a></p>`;
  }
  // Its answer is sandboxed as every file's is. With the attribute, too, browsers have no reader for it.
  if (kind === 'pdf') {
    return html`<iframe class="report" src="${links.raw(path)}" title="${name}" referrerpolicy="no-referrer" loading="lazy"></iframe>`;
  }
  // Never allow-same-origin: with allow-scripts it would be the service itself.
  return html`<p class="note">This file can run scripts. It runs shut off: it has no cookies, no storage, and loads nothing but files of its own package.</p>
<iframe class="report" src="${links.raw(path)}" title="${name}" sandbox="allow-scripts" referrerpolicy="no-referrer" loading="lazy"></iframe>`;
}

async function textMarkup({ readable, links, query }: Viewed, secrets: FileSecrets, kind: string): Promise<Html> {
  const { path, size } = readable.file;
  if (size === 0) return html`<p>The file is empty.</p>`;
  const hidden = new Map(
    secrets.places
      .filter(({ accepted }) => !accepted)
      .map((place) => [place.line, `a secret (${place.kind})`] as const),
  );
  if (query.sought !== null) return searchMarkup({ readable, links, query }, query.sought, hidden);
  const from = query.line === null ? query.from : await findLine(readable, query.line);
  if (from === null) {
    return html`${forms(links, path, query)}<p class="note">Line ${query.line} is too far into the file to be found here.</p>`;
  }
  const page = await readPage(readable, from);
  if (page.binary || (kind === 'none' && page.lines.some(({ bytes }) => !isText(bytes)))) {
    return html`<p>This is not a text: it can only be downloaded.</p>`;
  }
  // Line numbers would be others: where secrets are hidden by them, it stays as it is.
  const indented = kind === 'json' && !query.source && hidden.size === 0 ? await indentedPage(readable) : null;
  const unchecked =
    size > CHECKED_MAX
      ? html`<p class="note">This is a part of a large file, as storage has it: only a download is checked against the digest.</p>`
      : null;
  return html`${forms(links, path, query)}${unchecked}
${linesMarkup((indented ?? page).lines, hidden)}
${indented === null ? pager(links, path, from, page, size) : null}`;
}

async function searchMarkup(
  { readable, links, query }: Pick<Viewed, 'readable' | 'links' | 'query'>,
  sought: string,
  hidden: ReadonlyMap<number, string>,
): Promise<Html> {
  const { path } = readable.file;
  const textOf = (line: CutLine): string => (hidden.has(line.number) ? '' : plainText(line));
  const { hits, next } = await searchLines(readable, sought, query.from, textOf);
  const found = `${hits.length === HITS_MAX ? 'The first ' : ''}${hits.length} ${hits.length === 1 ? 'line' : 'lines'} with “${sought}”`;
  const more =
    next === null
      ? null
      : html`<p><a rel="next" href="${links.page(path, { q: sought, ...placeQuery(next) })}">Search on from line ${next.line}</a></p>`;
  return html`${forms(links, path, query)}
<p role="status">${found}${next === null ? ', in all of the file' : null}. <a href="${links.page(path)}">Back to the file</a></p>
${hits.length === 0 ? null : hitsMarkup(hits, sought, (line) => `${links.page(path, { ...placeQuery({ at: line.at, line: line.number }) })}#L${line.number}`)}
${more}`;
}

/** Small JSON, indented; null: it is none, or not small. */
async function indentedPage(readable: ReadableFile): Promise<Pick<TextPage, 'lines'> | null> {
  if (readable.size > PAGE_BYTES) return null;
  const whole = await readable.openWhole();
  if (!Buffer.isBuffer(whole)) return null;
  const text = indentJson(new TextDecoder().decode(whole));
  if (text === null) return null;
  const cutter = new LineCutter(Number.POSITIVE_INFINITY);
  return { lines: [...cutter.take(Buffer.from(`${text}\n`))] };
}

function forms(links: EvidenceLinks, path: string, { sought }: ViewQuery): Html {
  const action = links.page(path);
  return html`<div class="finders">
<form method="get" action="${action}" role="search"><label for="q">Search</label><input id="q" name="q" type="search" maxlength="200" value="${sought ?? ''}"> <button class="quiet">Find lines</button></form>
<form method="get" action="${action}"><label for="line">Line</label><input id="line" name="line" inputmode="numeric" pattern="[0-9]*" size="8"> <button class="quiet">Go</button></form>
</div>`;
}

function pager(links: EvidenceLinks, path: string, from: LinePlace, { next }: TextPage, size: number): Html | null {
  if (from.at === 0 && next === null) return null;
  const first = from.at === 0 ? null : html`<a href="${links.page(path)}">First page</a>`;
  const on =
    next === null
      ? null
      : html`<a rel="next" href="${links.page(path, placeQuery(next))}">Next page, from line ${next.line}</a>`;
  const done = Math.round((100 * (next?.at ?? size)) / size);
  return html`<nav aria-label="Pages" class="pager">${first} ${on} <span>${done} % of the file</span></nav>`;
}

function secretsNote({ places, incomplete }: FileSecrets, asText: boolean): Html | null {
  if (places.length === 0) {
    return incomplete
      ? html`<p class="note">Secrets were found in this package when it was pushed; not all of their places are recorded.</p>`
      : null;
  }
  const items = places.map(
    ({ line, kind, accepted }) =>
      html`<li>line ${line}: ${kind}${accepted ? ', which its producer knows and accepts' : asText ? ', not shown below' : null}</li>`,
  );
  return html`<div class="note warn"><p>Secrets were found in this file when it was pushed:</p><ul>${items}</ul></div>`;
}

/** Bytes, as UTF-8 has them; the last character may be cut off. */
function isText(bytes: Uint8Array): boolean {
  return !new TextDecoder().decode(bytes, { stream: true }).includes('\ufffd');
}

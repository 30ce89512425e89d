import * as z from 'zod/mini';
import { parseFileSearch } from '../../core/file-search.ts';
import { isId } from '../../core/ids.ts';
import { type FoundFile, findFiles } from '../../usecases/find-files.ts';
import type { FoundPlace } from '../../usecases/records.ts';
import { type Html, html } from '../html.ts';
import { page } from '../page.ts';
import { address, badge, dayMarkup, encodePath, packageAddress, sizeMarkup, type Tone } from '../words.ts';

const PAGE = 50;
const HEX = /^[0-9a-f]{64}$/i;
const TONES: Record<FoundFile['state'], Tone> = { stored: 'good', missing: 'warn', damaged: 'bad', deleted: '' };

/** Which packages have a file: by its name, or its digest with or without `sha256:`. */
export const foundPage = page({
  path: '/ui/find',
  id: 'showFound',
  query: z.object({ q: z.optional(z.string()), cursor: z.optional(z.string()) }),
  async handle(services, { query, caller }, ctx) {
    const sought = (query.q ?? '').trim();
    if (isId('pkg', sought)) {
      ctx.redirect(packageAddress(sought));
      ctx.body = '';
      return undefined;
    }
    const head = html`<h1>Find files</h1>${findForm(sought)}`;
    if (sought === '') return { title: 'Find files', section: 'packages', body: head };
    const digest = HEX.test(sought) ? `sha256:${sought.toLowerCase()}` : sought;
    const search = parseFileSearch(digest.startsWith('sha256:') ? { digest } : { name: sought });
    const scope = `showFound ${JSON.stringify(search)}`;
    const after = query.cursor === undefined ? null : (services.cursors.decode(scope, query.cursor) as FoundPlace);
    const { files, more } = await findFiles(services, caller, search, after, PAGE);
    const last = files.at(-1);
    const next = more && last ? services.cursors.encode(scope, { id: last.package_id, path: last.path }) : undefined;
    const body = html`${head}<section class="panel" aria-label="Files">${files.length === 0 ? html`<p>No file has that name or digest.</p>` : table(files)}
${next === undefined ? null : html`<nav class="pager" aria-label="Pages"><a rel="next" href="${address('/ui/find', { q: sought, cursor: next })}">More files</a></nav>`}</section>`;
    return { title: `Find: ${sought}`, section: 'packages', body };
  },
});

/** The box that finds files in all packages. */
export function findForm(sought: string): Html {
  return html`<form class="panel filters" method="get" action="/ui/find" role="search" aria-label="Files">
<div><label for="f-q">File name or digest</label><input id="f-q" name="q" value="${sought}"></div>
<div class="act"><button type="submit" class="quiet">Find files</button></div>
<p class="hint soft small">A name is the last part of a path; a <code>*</code> at its end stands for whatever follows.</p></form>`;
}

function table(files: readonly FoundFile[]): Html {
  const rows = files.map((file) => {
    const { package_id, package_name, producer, path, size, state, since, checked_at } = file;
    const base = packageAddress(package_id);
    const shown = state === 'deleted' ? html`${path}` : html`<a href="${base}/files/${encodePath(path)}">${path}</a>`;
    return html`<tr><td>${shown}</td><td data-label="Package"><a href="${base}">${package_name}</a><span class="sub">${producer}</span></td>
<td class="num" data-label="Size">${sizeMarkup(size)}</td><td class="nowrap" data-label="Since">${dayMarkup(since, '')}</td>
<td data-label="State">${badge(state, TONES[state])}</td><td class="nowrap" data-label="Read again">${dayMarkup(checked_at, 'not since')}</td></tr>`;
  });
  return html`<table class="stack"><thead><tr><th scope="col">File</th><th scope="col">Package</th><th scope="col" class="num">Size</th>
<th scope="col">Since</th><th scope="col">State</th><th scope="col">Read again</th></tr></thead><tbody>${rows}</tbody></table>`;
}

import * as z from 'zod/mini';
import { countOf, formatCount } from '../../core/format.ts';
import { parsePackageId } from '../../core/ids.ts';
import { type Change, COMPARED_MAX, type Comparison, comparePackages } from '../../usecases/compare-packages.ts';
import { getPackage } from '../../usecases/list-packages.ts';
import { type Html, html } from '../html.ts';
import { packageFrame } from '../package-frame.ts';
import { page } from '../page.ts';
import { badge, dayMarkup, encodePath, packageAddress, sizeMarkup, type Tone } from '../words.ts';

const TONES: Record<Change['kind'], Tone> = { added: 'good', removed: 'bad', changed: 'warn' };

/** What changed from one package to another: from the one that it supersedes, if none is named. */
export const changesPage = page({
  path: '/ui/packages/{id}/changes',
  id: 'compareRevisions',
  query: z.object({ from: z.optional(z.string()) }),
  async handle(services, { params, query, caller }) {
    const id = parsePackageId(params.id as string);
    const pkg = await getPackage(services, caller, id);
    const now = await services.registry.read.now();
    const from = query.from === undefined ? pkg.supersedes : parsePackageId(query.from);
    const body =
      from === null
        ? html`<section class="panel"><p>It supersedes no other package.</p></section>`
        : html`<section class="panel"><h2>What changed</h2>${changes(await comparePackages(services, caller, from, id))}</section>`;
    return packageFrame({ pkg, caller, now, tab: 'changes', title: 'Changes', body });
  },
});

function changes(comparison: Comparison | null): Html {
  if (comparison === null) {
    return html`<p>They have more than ${formatCount(COMPARED_MAX)} files together: pull one of them, and <code>artifact-store diff</code> compares it with the other.</p>`;
  }
  const { from, to, counts, changes: found } = comparison;
  const all = counts.added + counts.removed + counts.changed;
  const rest = all - found.length;
  const rows = found.map(({ kind, path, before, after }) => {
    const base = packageAddress(kind === 'removed' ? from.id : to.id);
    return html`<tr><td><a href="${base}/files/${encodePath(path)}">${path}</a></td><td data-label="Change">${badge(kind, TONES[kind])}</td>
<td class="num" data-label="Before">${before === null ? null : sizeMarkup(before)}</td><td class="num" data-label="After">${after === null ? null : sizeMarkup(after)}</td></tr>`;
  });
  return html`<p>From <a href="${packageAddress(from.id)}">${from.name}</a> (${dayMarkup(from.finalized_at ?? from.created_at, '')}) to this one
(${dayMarkup(to.finalized_at ?? to.created_at, '')}): ${counts.added} added, ${counts.removed} removed, ${counts.changed} changed, ${countOf(counts.same, 'file')} the same.</p>
${
  all === 0
    ? null
    : html`<table class="stack"><thead><tr><th scope="col">File</th><th scope="col">Change</th><th scope="col" class="num">Before</th><th scope="col" class="num">After</th></tr></thead><tbody>${rows}</tbody></table>`
}
${rest > 0 ? html`<p class="soft">and ${countOf(rest, 'more', 'more')}.</p>` : null}`;
}

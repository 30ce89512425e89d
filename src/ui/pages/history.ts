import * as z from 'zod/mini';
import { eventTime } from '../../core/audit-entry.ts';
import type { Json } from '../../core/canonical-json.ts';
import { formatTime } from '../../core/format.ts';
import { parsePackageId } from '../../core/ids.ts';
import { listAudit } from '../../usecases/list-audit.ts';
import { getPackage } from '../../usecases/list-packages.ts';
import type { AuditRecord } from '../../usecases/records.ts';
import { type Html, html } from '../html.ts';
import { packageFrame } from '../package-frame.ts';
import { page } from '../page.ts';
import { address, linesMarkup, packageAddress } from '../words.ts';

const PAGE = 100;
const DETAIL_MAX = 300;

/** The package's audit, the oldest first: new events come at its end. */
export const historyPage = page({
  path: '/ui/packages/{id}/history',
  id: 'showHistory',
  query: z.object({ cursor: z.optional(z.string()) }),
  async handle(services, { params, query, caller }) {
    const id = parsePackageId(params.id as string);
    const pkg = await getPackage(services, caller, id);
    const scope = `showHistory ${id}`;
    const after = query.cursor === undefined ? 0 : (services.cursors.decode(scope, query.cursor) as number);
    const { events, more } = await listAudit(services, caller, { package_id: id }, after, PAGE);
    const last = events.at(-1);
    const base = `${packageAddress(id)}/history`;
    const next =
      more && last
        ? html`<a rel="next" href="${address(base, { cursor: services.cursors.encode(scope, last.seq) })}">Later events</a>`
        : null;
    const body = html`<section class="panel"><h2>History</h2>
${
  events.length === 0
    ? html`<p>There are no more events.</p>`
    : html`<table class="stack"><thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">Who</th><th scope="col">Details</th></tr></thead><tbody>${events.map(row)}</tbody></table>`
}
<nav class="pager" aria-label="Pages">${after === 0 ? null : html`<a href="${base}">From the beginning</a>`}${next}</nav></section>`;
    const now = await services.registry.read.now();
    return packageFrame({ pkg, caller, now, tab: 'history', title: 'History', body });
  },
});

function row({ at, action, actor, reason, detail }: AuditRecord): Html {
  const time = eventTime(at);
  const said = Object.entries(detail)
    .filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0))
    .map(([key, value]) => html`<div>${key.replaceAll('_', ' ')} <code>${brief(value)}</code></div>`);
  return html`<tr><td class="nowrap"><time datetime="${time}">${formatTime(time)}</time></td><td class="word" data-label="What"><span class="strong">${action.replace('.', ' ').replaceAll('_', ' ')}</span></td>
<td class="word" data-label="Who">${actor}</td><td data-label="Details">${reason === null ? null : html`<div>${linesMarkup(reason)}</div>`}<div class="soft small">${said}</div></td></tr>`;
}

function brief(value: Json): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= DETAIL_MAX ? text : `${text.slice(0, DETAIL_MAX).toWellFormed()}…`;
}

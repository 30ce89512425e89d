import * as z from 'zod/mini';
import { countOf, formatBytes, formatCount } from '../../core/format.ts';
import { type OperatorView, operatorView } from '../../usecases/operator-view.ts';
import { type Html, html } from '../html.ts';
import { page } from '../page.ts';
import { getQuotasPage } from '../quotas.ts';
import { address, badge, facts, packageAddress, sizeMarkup, type Tone, timeMarkup } from '../words.ts';

const DAY_MS = 86_400_000;
/** Damaged items that are named. */
const DAMAGED = 50;

const STATE_TONES: Record<string, Tone> = { done: 'good', failed: 'bad', interrupted: 'warn' };

/** The store as a whole: storage by producer, fixity, sweeps. */
export const operatorPage = page({
  path: '/ui/operator',
  id: 'showOperator',
  query: z.object({ after: z.optional(z.string()) }),
  async handle(services, { query, caller }) {
    const view = await operatorView(services);
    const quotas = await getQuotasPage(services, caller, query.after ?? null);
    const next =
      quotas.next === null
        ? null
        : html`<nav class="pager" aria-label="Producers"><a rel="next" href="${address('/ui/operator', { after: quotas.next })}">More producers</a></nav>`;
    const body = html`<h1>Operator</h1>
${cards(view)}
<section class="panel"><h2>Storage by producer</h2>${quotas.table}${next}</section>
<div class="even"><section class="panel"><h2>Fixity</h2>${fixity(view)}</section>
<section class="panel"><h2>Sweeps</h2>${sweeps(view)}</section></div>`;
    return { title: 'Operator', section: 'operator', body };
  },
});

function cards({ packages, objects, uploads, fixity: { coverage, damaged } }: OperatorView): Html {
  const open = packages.created.packages + packages.uploading.packages;
  const waiting = Object.values(uploads).reduce((sum, count) => sum + count, 0);
  const all = coverage.seen.objects + coverage.overdue.objects;
  const percent = all === 0 ? 100 : Math.floor((coverage.seen.objects / all) * 1_000) / 10;
  const card = (label: string, value: string, more: string): Html =>
    html`<div class="card"><span class="soft small">${label}</span><b>${value}</b><span class="soft small">${more}</span></div>`;
  return html`<div class="cards">
${card('Finalized packages', formatCount(packages.finalized.packages), `${formatBytes(packages.finalized.bytes)} of content; ${open} open, ${packages.failed.packages} failed`)}
${card('In storage', formatBytes(objects.stored_size), `${countOf(objects.objects, 'object')}; ${formatBytes(objects.condemned_size)} wait to be removed`)}
${card('Read within the period', `${percent} %`, coverage.overdue.objects === 0 ? 'nothing is overdue' : `${countOf(coverage.overdue.objects, 'object')} overdue (${formatBytes(coverage.overdue.bytes)})`)}
${card('Damaged', damaged.items.length === 0 ? 'none' : `${damaged.items.length}${damaged.more ? '+' : ''}`, `${countOf(waiting, 'upload')} not ended`)}
</div>`;
}

function fixity({ fixity: { period, rate, coverage, damaged }, readings }: OperatorView): Html {
  const days = period === null ? null : Math.round(period / DAY_MS);
  return html`${facts([
    [
      'Period',
      days === null
        ? 'off: nothing is read again by itself'
        : `every object within ${countOf(days, 'day')}, at ${formatBytes(rate)}/s`,
    ],
    [
      'Overdue',
      coverage.overdue.objects === 0
        ? badge('none', 'good')
        : html`${badge(countOf(coverage.overdue.objects, 'object'), 'warn')} ${sizeMarkup(coverage.overdue.bytes)}`,
    ],
    ['Oldest reading', timeMarkup(coverage.oldest_seen_at)],
  ])}
${
  damaged.items.length === 0
    ? null
    : html`<h3>Damaged</h3><p class="note bad">Give good bytes back with <code>artifact-store repair FILE…</code></p><ul class="list">${damaged.items
        .slice(0, DAMAGED)
        .map(
          ({ package_id, path, kind, seen }) =>
            html`<li><a href="${packageAddress(package_id)}">${path ?? kind}</a> <span class="soft">${seen}</span></li>`,
        )}</ul>`
}
<h3>Readings that were asked for</h3>${
    readings.length === 0
      ? html`<p class="soft">None. <code>artifact-store fixity --now</code> starts one.</p>`
      : html`<ul class="list">${readings.map(
          ({ started_at, state, asked_by, report }) =>
            html`<li>${timeMarkup(started_at)} ${badge(state, STATE_TONES[state] ?? '')} by ${asked_by}: ${countOf(report.objects, 'object')} read, ${report.damaged + report.missing} bad</li>`,
        )}</ul>`
  }`;
}

function sweeps({ sweeps: found, swept_at }: OperatorView): Html {
  return html`<p>${swept_at === null ? 'Nothing was swept yet.' : html`Swept last ${timeMarkup(swept_at)}.`}</p>
${
  found.length === 0
    ? html`<p class="soft"><code>artifact-store sweep</code> lists what nothing needs any more.</p>`
    : html`<ul class="list">${found.map(
        ({ started_at, state, apply, report }) =>
          html`<li>${timeMarkup(started_at)} ${badge(state, STATE_TONES[state] ?? '')} ${apply ? `freed ${formatBytes(report.freed.bytes)}` : 'listed only'}<span class="soft small"> · ${formatBytes(report.waiting.bytes)} waiting, ${formatBytes(report.unneeded.bytes)} unneeded</span></li>`,
      )}</ul>`
}`;
}

import * as z from 'zod/mini';
import { ListPackages } from '../../api/package-requests.ts';
import { formatCount } from '../../core/format.ts';
import { isId } from '../../core/ids.ts';
import { PACKAGE_STATUSES } from '../../core/package-state.ts';
import { packageFilter } from '../../http/package-filter.ts';
import { validate } from '../../http/validate.ts';
import { listPackages } from '../../usecases/list-packages.ts';
import type { PackageRecord } from '../../usecases/records.ts';
import { type Html, html } from '../html.ts';
import { page } from '../page.ts';
import { address, badge, dayMarkup, packageAddress, sizeMarkup, statusBadge } from '../words.ts';
import { findForm } from './found.ts';

/** The page has less than 100 kB, whatever they are called. */
const PAGE = 50;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
/** Code points of a name, of what stands beneath it, and of a producer: the package's own page has all of them. */
const NAME_MAX = 80;
const ABOUT_MAX = 60;
const PRODUCER_MAX = 40;

/** Filters that are seldom used. */
const FURTHER = ['retention_class', 'created_after', 'created_before'];

type Query = Record<string, string>;

/** Packages, newest first; the filters are those of `GET /v1/packages`, in a form. */
export const packagesPage = page({
  path: '/ui',
  id: 'browsePackages',
  query: z.catchall(z.object({}), z.string()),
  async handle(services, request, ctx) {
    const { cursor, ...sent } = request.query as Query;
    const asked = filtersOf(sent);
    if (asked.external_id !== undefined && isId('pkg', asked.external_id)) {
      ctx.redirect(packageAddress(asked.external_id));
      ctx.body = '';
      return undefined;
    }
    const after = cursor === undefined ? undefined : (services.cursors.decode('browsePackages', cursor) as string);
    const filter = packageFilter(validate(ListPackages, asked, 'query') as z.infer<typeof ListPackages>, after);
    const { packages, now, more } = await listPackages(services, request.caller, filter, PAGE);
    const last = packages.at(-1);
    const next = more && last ? services.cursors.encode('browsePackages', last.id) : undefined;
    const body = html`<h1>Packages</h1>
${form(asked, await services.registry.read.retention.listClasses())}
${findForm('')}
<section class="panel" aria-label="Packages">
${packages.length === 0 ? none(asked, cursor !== undefined) : table(packages, now)}
${pager(asked, cursor, next)}
</section>`;
    return { title: 'Packages', section: 'packages', body };
  },
});

/** A form's fields as the API's: days become times, and a key of the metadata a name. */
function filtersOf({ metadata_key: key, metadata_value: value, ...sent }: Query): Query {
  const asked: Query = { ...sent };
  for (const name of ['created_after', 'created_before']) {
    const day = asked[name];
    if (day !== undefined && DAY.test(day)) asked[name] = `${day}T00:00:00Z`;
  }
  if (key !== undefined && value !== undefined) asked[`metadata.${key.trim()}`] = value;
  return asked;
}

function form(asked: Query, classes: ReadonlyArray<{ name: string }>): Html {
  const [metadata, sought] = Object.entries(asked).find(([name]) => name.startsWith('metadata.')) ?? [];
  const isFurther = metadata !== undefined || FURTHER.some((name) => asked[name] !== undefined);
  const text = (name: string, label: string, value = asked[name]): Html =>
    html`<div><label for="f-${name}">${label}</label><input id="f-${name}" name="${name}" value="${value ?? ''}"></div>`;
  const day = (name: string, label: string): Html =>
    html`<div><label for="f-${name}">${label}</label><input id="f-${name}" name="${name}" type="date" value="${asked[name]?.slice(0, 10) ?? ''}"></div>`;
  const choice = (name: string, label: string, none: string, values: readonly string[]): Html =>
    html`<div><label for="f-${name}">${label}</label><select id="f-${name}" name="${name}"><option value="">${none}</option>${values.map(
      (value) => html`<option${value === asked[name] ? html` selected` : null}>${value}</option>`,
    )}</select></div>`;
  return html`<form class="panel filters" method="get" action="/ui" role="search" aria-label="Packages">
${text('external_id', 'External id or package id')}
${text('producer', 'Producer')}
${text('subject', 'Subject')}
${choice('status', 'Status', 'all but deleted', PACKAGE_STATUSES)}
<div class="act"><button type="submit">Search</button>${Object.keys(asked).length > 0 ? html`<a href="/ui">All packages</a>` : null}</div>
<details${isFurther ? html` open` : null}><summary>More filters</summary><div class="filters">
${choice(
  'retention_class',
  'Retention class',
  'any',
  classes.map(({ name }) => name),
)}
${day('created_after', 'Created after')}
${day('created_before', 'Created before')}
${text('metadata_key', 'Metadata: key', metadata?.slice('metadata.'.length))}
${text('metadata_value', 'Metadata: value', sought)}
</div></details>
</form>`;
}

function table(packages: readonly PackageRecord[], now: number): Html {
  return html`<table class="stack"><thead><tr><th scope="col">Package</th><th scope="col">Producer</th><th scope="col">Status</th>
<th scope="col" class="num">Files</th><th scope="col" class="num">Size</th><th scope="col">Created</th><th scope="col">Kept until</th></tr></thead>
<tbody>${packages.map((pkg) => row(pkg, now))}</tbody></table>`;
}

function row(pkg: PackageRecord, now: number): Html {
  const about = [pkg.subject, pkg.external_id === pkg.name ? null : pkg.external_id].filter((text) => text !== null);
  return html`<tr><td><a class="strong" href="${packageAddress(pkg.id)}">${short(pkg.name, NAME_MAX)}</a>${
    about.length === 0 ? null : html`<span class="sub">${short(about.join(' · '), ABOUT_MAX)}</span>`
  }</td>
<td data-label="Producer">${short(pkg.producer, PRODUCER_MAX)}</td>
<td data-label="Status">${statusBadge(pkg.status)}${pkg.superseded_by === null ? null : html` ${badge('superseded', '')}`}</td>
<td class="num" data-label="Files">${formatCount(pkg.file_count)}</td><td class="num" data-label="Size">${sizeMarkup(pkg.total_size)}</td>
<td class="nowrap" data-label="Created">${dayMarkup(pkg.created_at, '')}</td>
<td class="nowrap" data-label="Kept until">${kept(pkg, now)}</td></tr>`;
}

function kept({ status, active_holds, expires_at }: PackageRecord, now: number): Html | null {
  if (status === 'deleted') return null;
  const over = expires_at !== null && expires_at <= now && active_holds === 0;
  return html`${dayMarkup(expires_at, 'forever')}${active_holds > 0 ? html` ${badge('held', 'warn')}` : null}${over ? html` ${badge('expired', '')}` : null}`;
}

function none(asked: Query, later: boolean): Html {
  if (later) return html`<p>There are no more packages.</p>`;
  return Object.keys(asked).length > 0
    ? html`<p>No package matches. Filters compare whole values: a producer, a subject or an external id is entered in full.</p>`
    : html`<p>There are no packages yet. <code>artifact-store push DIR --producer NAME</code> makes one.</p>`;
}

function pager(asked: Query, cursor: string | undefined, next: string | undefined): Html | null {
  if (cursor === undefined && next === undefined) return null;
  return html`<nav class="pager" aria-label="Pages">${cursor === undefined ? null : html`<a href="${address('/ui', asked)}">Newest</a>`}
${next === undefined ? null : html`<a rel="next" href="${address('/ui', { ...asked, cursor: next })}">Older packages</a>`}</nav>`;
}

function short(text: string, most: number): string {
  const characters = [...text];
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`;
}

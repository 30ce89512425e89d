import { formatBytes, formatCount } from '../core/format.ts';
import type { HttpServices } from '../http/route.ts';
import { listQuotas, type QuotaState } from '../usecases/get-quota.ts';
import type { Caller } from '../usecases/services.ts';
import { type Html, html } from './html.ts';
import { sizeMarkup } from './words.ts';

const PAGE = 100;

/** What each producer has, and may have. @param after name of the last one of the page before */
export async function getQuotasPage(
  services: HttpServices,
  caller: Caller,
  after: string | null,
): Promise<{ table: Html; next: string | null }> {
  const { items, more } = await listQuotas(services, caller, undefined, after, PAGE);
  if (items.length === 0) return { table: html`<p>No producer has anything.</p>`, next: null };
  const table = html`<table class="stack"><thead><tr><th scope="col">Producer</th><th scope="col" class="num">Used</th><th scope="col">Of its quota</th><th scope="col" class="num">Open packages</th></tr></thead><tbody>${items.map(row)}</tbody></table>`;
  return { table, next: more ? (items.at(-1)?.producer ?? null) : null };
}

function row({
  producer,
  used_bytes,
  reserved_bytes,
  quota_bytes,
  open_packages,
  open_packages_max,
}: QuotaState): Html {
  const used = used_bytes + reserved_bytes;
  const of =
    quota_bytes === null
      ? html`<span class="soft">no quota</span>`
      : html`<progress max="${Math.max(1, quota_bytes)}" value="${Math.min(used, quota_bytes)}" aria-label="${producer}: ${formatBytes(used)} of ${formatBytes(quota_bytes)}"></progress> <span class="small">${sizeMarkup(quota_bytes)}</span>`;
  return html`<tr><td><a class="strong" href="/ui?${new URLSearchParams({ producer }).toString()}">${producer}</a></td><td class="num" data-label="Used">${sizeMarkup(used)}</td>
<td data-label="Quota">${of}</td><td class="num" data-label="Open packages">${formatCount(open_packages)} of ${formatCount(open_packages_max)}</td></tr>`;
}

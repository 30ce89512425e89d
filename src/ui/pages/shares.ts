import { StoreError } from '../../core/errors.ts';
import { parsePackageId, parseShareId } from '../../core/ids.ts';
import { allows } from '../../core/scopes.ts';
import { grantOfCaller } from '../../usecases/access.ts';
import { getPackage } from '../../usecases/list-packages.ts';
import type { PackageRecord, ShareRecord } from '../../usecases/records.ts';
import type { Caller } from '../../usecases/services.ts';
import { createShare, revokeShare, stateOfShare } from '../../usecases/shares.ts';
import { leadTo } from '../forms.ts';
import { type Html, html } from '../html.ts';
import { packageFrame } from '../package-frame.ts';
import { page, type UiRoute } from '../page.ts';
import { packageAddress, timeMarkup } from '../words.ts';

const DAY_MS = 86_400_000;
const NOTE_MAX = 200;
const DAYS = /^[1-9]\d{0,3}$/;

/** Links that show a package to people without a token: made, and ended. */
export const sharePages: readonly UiRoute[] = [
  page({
    method: 'post',
    path: '/ui/packages/{id}/shares',
    id: 'makeShareLink',
    async handle(services, { params, form, caller }) {
      const id = parsePackageId(params.id as string);
      const days = form.get('days') ?? '7';
      if (!DAYS.test(days)) throw new StoreError('invalid_request', 'A link ends after a whole number of days.');
      const note = (form.get('note') ?? '').trim().slice(0, NOTE_MAX).toWellFormed();
      const input = { expires: { in: Number(days) * DAY_MS }, ...(note === '' ? {} : { note }) };
      const { record, token } = await createShare(services, caller, id, input);
      const link = `${services.publicUrl()}/ui/shared/${token}`;
      const pkg = await getPackage(services, caller, id);
      const now = await services.registry.read.now();
      const body = html`<section class="panel"><h2>A link for others</h2>
<p>Whoever has it sees this package, and nothing else, until ${timeMarkup(record.expires_at)}. It is shown this once: copy it now.</p>
<p class="note good"><a href="${link}">${link}</a></p><p><a href="${packageAddress(id)}">Back to the package</a></p></section>`;
      return packageFrame({ pkg, caller, now, tab: 'overview', title: 'A link for others', body });
    },
  }),
  page({
    method: 'post',
    path: '/ui/packages/{id}/shares/{share}/revoke',
    id: 'endShareLink',
    async handle(services, { params, caller }, ctx) {
      const id = parsePackageId(params.id as string);
      await revokeShare(services, caller, parseShareId(params.share as string), null);
      return leadTo(ctx, packageAddress(id));
    },
  }),
];

export function mayShare(caller: Caller): boolean {
  return allows(grantOfCaller(caller), 'packages:share');
}

/** The links of a package, and a form for another one. */
export function sharesPanel(pkg: PackageRecord, shares: readonly ShareRecord[], now: number): Html {
  const base = packageAddress(pkg.id);
  const items = shares.map((share) => {
    const state = stateOfShare(share, now);
    const end =
      state === 'active'
        ? html`until ${timeMarkup(share.expires_at)} <form method="post" action="${base}/shares/${share.id}/revoke"><button type="submit" class="quiet">Revoke</button></form>`
        : html`${state}`;
    return html`<li>${share.path ?? 'Whole package'}${share.note === null ? null : html`, ${share.note}`}: ${end}</li>`;
  });
  return html`<section class="panel"><h2>Links for others</h2>
${items.length === 0 ? null : html`<ul class="list small">${items}</ul>`}
<form method="post" action="${base}/shares" class="filters apart">
<div><label for="s-days">Ends after</label><select id="s-days" name="days"><option value="1">a day</option><option value="7" selected>a week</option><option value="30">30 days</option></select></div>
<div><label for="s-note">For whom</label><input id="s-note" name="note" maxlength="${NOTE_MAX}"></div>
<div class="act"><button type="submit" class="quiet">Make a link</button></div></form></section>`;
}

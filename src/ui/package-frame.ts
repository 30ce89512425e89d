import { asObject } from '../core/json-fields.ts';
import { sayRetention } from '../core/retention-text.ts';
import { GUIDE_BOARD } from '../core/run-shape.ts';
import { allows } from '../core/scopes.ts';
import { grantOfCaller } from '../usecases/access.ts';
import type { PackageRecord } from '../usecases/records.ts';
import type { Caller } from '../usecases/services.ts';
import { type Html, html } from './html.ts';
import type { Crumb } from './layout.ts';
import type { PageAnswer } from './page.ts';
import { badge, packageAddress, statusBadge } from './words.ts';

export type PackageTab = 'overview' | 'files' | 'run' | 'changes' | 'history';

interface Framed {
  pkg: PackageRecord;
  caller: Caller;
  now: number;
  tab: PackageTab;
  /** Of this part of the package. */
  title: string;
  body: Html;
}

/** What every page of a package has around what it shows. */
export function packageFrame({ pkg, caller, now, tab, title, body }: Framed): PageAnswer {
  const base = packageAddress(pkg.id);
  const tabs = [
    ['overview', 'Overview', base],
    ['files', 'Files', pkg.status === 'deleted' ? null : `${base}/files`],
    ['run', 'Run', isRun(pkg) ? `${base}/run` : null],
    ['changes', 'Changes', pkg.supersedes === null ? null : `${base}/changes`],
    ['history', 'History', mayAudit(caller) ? `${base}/history` : null],
  ] as const;
  const heading = html`<h1>${pkg.name}</h1>
<p class="lead">${statusBadge(pkg.status)}${pkg.active_holds > 0 ? badge('held', 'warn') : null}${
    pkg.superseded_by === null
      ? null
      : html`<a href="${packageAddress(pkg.superseded_by)}">superseded by a newer revision</a>`
  }<span>${sayRetention(pkg, now)}</span></p>
${pkg.reason === null ? null : html`<p class="note">Reason: ${pkg.reason}</p>`}
<nav class="tabs" aria-label="Parts of the package"><ul>${tabs.map(([id, text, href]) =>
    href === null
      ? null
      : html`<li><a href="${href}"${id === tab ? html` aria-current="page"` : null}>${text}</a></li>`,
  )}</ul></nav>`;
  return {
    title: tab === 'overview' ? pkg.name : `${title}: ${pkg.name}`,
    section: 'packages',
    trail: trailOf(pkg),
    body: html`${heading}
${body}`,
  };
}

function trailOf(pkg: PackageRecord): Crumb[] {
  return [
    { text: 'Packages', href: '/ui' },
    { text: pkg.producer, href: `/ui?${new URLSearchParams({ producer: pkg.producer }).toString()}` },
  ];
}

export function isRun(pkg: PackageRecord): boolean {
  return pkg.producer === GUIDE_BOARD && asObject(pkg.metadata)?.run_id !== undefined;
}

export function mayAudit(caller: Caller): boolean {
  return allows(grantOfCaller(caller), 'audit:read');
}

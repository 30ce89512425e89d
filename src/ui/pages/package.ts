import { ARCHIVE_KIND_NAMES, type ArchiveKindName } from '../../core/archive-formats.ts';
import type { Json } from '../../core/canonical-json.ts';
import { countOf, formatBytes } from '../../core/format.ts';
import { parsePackageId } from '../../core/ids.ts';
import { asObject } from '../../core/json-fields.ts';
import { getRetention, type RetentionState } from '../../usecases/get-retention.ts';
import { listFolder } from '../../usecases/list-folder.ts';
import { listRevisions } from '../../usecases/list-revisions.ts';
import { type PackageProofs, packageProofs } from '../../usecases/package-proofs.ts';
import type { PackageRecord } from '../../usecases/records.ts';
import type { Caller } from '../../usecases/services.ts';
import { listShares } from '../../usecases/shares.ts';
import { folderTable } from '../folder-table.ts';
import { type Html, html } from '../html.ts';
import { isRun, mayAudit, packageFrame } from '../package-frame.ts';
import { page } from '../page.ts';
import { runSummary } from '../run-summary.ts';
import {
  address,
  badge,
  dayMarkup,
  facts,
  linesMarkup,
  packageAddress,
  sizeMarkup,
  statusBadge,
  timeMarkup,
} from '../words.ts';
import { mayShare, sharesPanel } from './shares.ts';

/** Entries of the package's own folder that are shown: the rest is on the page of its files. */
const ENTRIES = 100;
/** Links for others, the newest. */
const SHARES = 20;
/** On their buttons. */
const ARCHIVE_LABELS: Readonly<Record<ArchiveKindName, string>> = {
  zip: 'zip',
  tar: 'tar',
  'tar.zst': 'tar.zst',
  bagit: 'bag (zip)',
  'bagit.tar': 'bag (tar)',
};
/** Members of the metadata. */
const METADATA_MAX = 50;
const VALUE_MAX = 300;

/** One package: what it is, its files, how long it is kept, what speaks for it. */
export const packagePage = page({
  path: '/ui/packages/{id}',
  id: 'showPackage',
  async handle(services, { params, caller }) {
    const id = parsePackageId(params.id as string);
    const retention = await getRetention(services, caller, id);
    const { pkg } = retention;
    const now = await services.registry.read.now();
    const deleted = pkg.status === 'deleted';
    const folder = deleted ? null : await listFolder(services, caller, id, { folder: '', after: null, limit: ENTRIES });
    const proofs = pkg.status === 'finalized' ? await packageProofs(services, caller, id, mayAudit(caller)) : null;
    const revisions = await listRevisions(services, caller, pkg);
    const shared = pkg.status === 'finalized' && mayShare(caller);
    const shares = shared ? (await listShares(services, caller, id, null, SHARES)).shares : [];
    const body = html`<div class="split"><div>
${isRun(pkg) ? html`<section class="panel"><h2>Run</h2>${runSummary(pkg.metadata)}<p><a href="${packageAddress(id)}/run">Findings, checks and scorecard</a></p></section>` : null}
${
  folder === null
    ? null
    : html`<section class="panel"><h2>Files</h2><p class="soft small">${countOf(pkg.file_count, 'file')}, ${formatBytes(pkg.total_size)}${
        pkg.deleted_file_count > 0 ? `; ${pkg.deleted_file_count} removed since` : null
      }</p>${folderTable(id, '', folder, true)}</section>`
}
${isRun(pkg) ? null : metadataPanel(pkg)}
</div><div>
<section class="panel"><h2>About</h2>${about(pkg, caller)}</section>
${proofs === null ? null : html`<section class="panel"><h2>Proofs</h2>${proofsMarkup(proofs, now)}</section>`}
<section class="panel"><h2>Retention</h2>${retentionMarkup(retention)}</section>
${revisions.length < 2 ? null : html`<section class="panel"><h2>Revisions</h2>${revisionsMarkup(pkg, revisions)}</section>`}
${shared ? sharesPanel(pkg, shares, now) : null}
</div></div>`;
    return packageFrame({ pkg, caller, now, tab: 'overview', title: pkg.name, body });
  },
});

function about(pkg: PackageRecord, { reads }: Caller): Html {
  const base = packageAddress(pkg.id);
  return html`${facts([
    ['Package', html`<code>${pkg.id}</code>`],
    ['Producer', pkg.producer],
    ['Subject', pkg.subject],
    ['External id', pkg.external_id],
    ['Created', html`${timeMarkup(pkg.created_at)} by ${pkg.created_by}`],
    ['Finalized', timeMarkup(pkg.finalized_at)],
    ['Deleted', timeMarkup(pkg.deleted_at)],
    ['Files', html`${countOf(pkg.file_count, 'file')}, ${sizeMarkup(pkg.total_size)}`],
    ['In storage', 'all' in reads && pkg.stored_size !== null ? sizeMarkup(pkg.stored_size) : null],
    ['Manifest', pkg.manifest_digest === null ? null : html`<code>${pkg.manifest_digest}</code>`],
  ])}
${
  pkg.status === 'finalized'
    ? html`<p class="actions"><a class="button quiet" href="${base}/manifest" download>Manifest</a> <a class="button quiet" href="${base}/attestation" download>Attestation</a></p>
<p class="soft small">All files as one archive:</p><p class="actions">${ARCHIVE_KIND_NAMES.map((kind) => html`<a class="button quiet" href="${address(`${base}/archive`, { format: kind })}" download>${ARCHIVE_LABELS[kind]}</a> `)}</p>`
    : null
}`;
}

function proofsMarkup({ attestation, log, fixity }: PackageProofs, now: number): Html {
  const signature =
    attestation === null
      ? html`<p class="note warn">Nothing was signed yet.</p>`
      : attestation === 'unchecked'
        ? html`<p class="note">The service signed this list of files. It is too long to be checked here: <code>artifact-store verify --offline</code> does.</p>`
        : 'problem' in attestation
          ? html`<p class="note bad" role="alert">${badge('not as signed', 'bad')} The attestation cannot be trusted: ${attestation.problem}.</p>`
          : html`<p class="note good">${badge('signed', 'good')} The service signed this list of files; the signature was checked just now, with the key <code title="${attestation.key}">${attestation.key.slice(0, 12)}…</code></p>`;
  const place =
    log === null
      ? null
      : log.checkpoint === null
        ? html`<p class="note">Its finalizing is entry ${log.index} of the audit log; the next checkpoint covers it.</p>`
        : html`<p class="note good">${badge('logged', 'good')} Its finalizing is entry ${log.index} of the audit log, under the checkpoint of ${log.checkpoint.size} entries of ${timeMarkup(log.checkpoint.at)}.</p>`;
  return html`${signature}${place}${fixityMarkup(fixity, now)}`;
}

function fixityMarkup({ objects, oldest_seen_at, bad, more }: PackageProofs['fixity'], now: number): Html {
  if (objects === 0) return html`<p class="note">There are no bytes to be read.</p>`;
  if (bad > 0) {
    return html`<p class="note bad" role="alert">${badge('damaged', 'bad')} Of ${countOf(objects, 'object')} with its bytes, ${bad} did not have what they should when they were read last.</p>`;
  }
  const days = Math.floor((now - (oldest_seen_at ?? now)) / 86_400_000);
  const ago = days === 0 ? 'today' : `${countOf(days, 'day')} ago`;
  return html`<p class="note good">${badge('read', 'good')} Every byte${more ? ' of its first 2,000 files' : ''} was read and found as it was stored, the last time ${ago}: ${timeMarkup(oldest_seen_at)} (${countOf(objects, 'object')}).</p>`;
}

function retentionMarkup({ pkg, holds, events }: RetentionState): Html {
  const active = holds.filter(({ released_at }) => released_at === null);
  const past = events.toReversed().slice(0, 10);
  return html`${facts([
    ['Class', pkg.retention_class],
    ['Expires', pkg.expires_at === null ? 'never' : timeMarkup(pkg.expires_at)],
    ['Holds', active.length === 0 ? 'none' : countOf(active.length, 'hold')],
  ])}
${active.map(
  (hold) =>
    html`<p class="note warn"><strong>${linesMarkup(hold.reason)}</strong>${hold.reference === null ? null : ` (${hold.reference})`}<br><span class="soft small">held by ${hold.placed_by} since ${dayMarkup(hold.placed_at, '')}</span></p>`,
)}
${pkg.file_rules.length === 0 ? null : html`<h3>Files that need not be kept as long</h3><ul class="list">${pkg.file_rules.map(({ path, days }) => html`<li><code>${path}</code> ${countOf(days, 'day')}</li>`)}</ul>`}
<h3>Decisions</h3><ul class="list small">${past.map(
    ({ at, action, actor, reason, expires_after }) =>
      html`<li>${dayMarkup(at, '')} <strong>${action.replaceAll('_', ' ')}</strong> by ${actor}${
        expires_after === null ? null : html`, expires ${dayMarkup(expires_after, '')}`
      }${reason === null ? null : html`: ${linesMarkup(reason)}`}</li>`,
  )}</ul>`;
}

function revisionsMarkup(shown: PackageRecord, revisions: readonly PackageRecord[]): Html {
  return html`<ul class="list">${revisions.map((pkg) => {
    const name =
      pkg.id === shown.id
        ? html`<strong aria-current="true">this one</strong>`
        : html`<a href="${packageAddress(pkg.id)}">${pkg.name}</a>`;
    const older = pkg.supersedes;
    const what =
      older === null
        ? null
        : html` · <a href="${address(`${packageAddress(pkg.id)}/changes`, { from: older })}">what changed</a>`;
    return html`<li>${dayMarkup(pkg.finalized_at ?? pkg.created_at, '')} ${name} ${pkg.status === 'finalized' ? null : statusBadge(pkg.status)}<span class="small">${what}</span></li>`;
  })}</ul>`;
}

function metadataPanel({ metadata }: PackageRecord): Html | null {
  const members = Object.entries(metadata);
  if (members.length === 0) return null;
  const rest = members.length - METADATA_MAX;
  return html`<section class="panel"><h2>Metadata</h2>${facts(
    members.slice(0, METADATA_MAX).map(([key, value]) => [key, brief(value)] as const),
  )}${rest > 0 ? html`<p class="soft">and ${countOf(rest, 'more member')}: the manifest has all of them.</p>` : null}</section>`;
}

function brief(value: Json): Html {
  if (Array.isArray(value) || asObject(value) !== null) {
    const text = JSON.stringify(value);
    return html`<code>${text.length <= VALUE_MAX ? text : `${text.slice(0, VALUE_MAX).toWellFormed()}…`}</code>`;
  }
  const text = String(value);
  return linesMarkup(text.length <= VALUE_MAX ? text : `${text.slice(0, VALUE_MAX).toWellFormed()}…`);
}

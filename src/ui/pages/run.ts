import type { Json, JsonObject } from '../../core/canonical-json.ts';
import { StoreError } from '../../core/errors.ts';
import { countOf } from '../../core/format.ts';
import { parsePackageId } from '../../core/ids.ts';
import { asList, asObject, firstText } from '../../core/json-fields.ts';
import { DOCUMENTS } from '../../core/run-shape.ts';
import { type Capability, LEVEL_MAX, readScorecard } from '../../core/scorecard.ts';
import { getPackage } from '../../usecases/list-packages.ts';
import { type ReadDocument, readDocument } from '../../usecases/read-document.ts';
import type { PackageRecord } from '../../usecases/records.ts';
import { type Html, html } from '../html.ts';
import { isRun, packageFrame } from '../package-frame.ts';
import { page } from '../page.ts';
import { resultBadge, runSummary } from '../run-summary.ts';
import { encodePath, packageAddress } from '../words.ts';

/** Rows of one table: the file itself has all of them. */
const ROWS_MAX = 200;
const TEXT_MAX = 400;

/** A guide-board run as a person reads it: the summary from the metadata, the rest from the run's own documents. */
export const runPage = page({
  path: '/ui/packages/{id}/run',
  id: 'showRun',
  async handle(services, { params, caller }) {
    const id = parsePackageId(params.id as string);
    const pkg = await getPackage(services, caller, id);
    if (!isRun(pkg)) throw new StoreError('route_not_found', `${id} is no run of guide-board.`);
    const document = (path: string): Promise<ReadDocument> => readDocument(services, caller, id, path);
    const [findings, evidence, scorecard] = [
      await document(DOCUMENTS.findings),
      await document(DOCUMENTS.evidence),
      await document(DOCUMENTS.scorecard),
    ];
    const body = html`<section class="panel"><h2>Summary</h2>${runSummary(pkg.metadata)}</section>
${panel('Findings', pkg, DOCUMENTS.findings, findings, (value) => findingsTable(asList(value, 'findings') ?? []))}
${panel('Scorecard', pkg, DOCUMENTS.scorecard, scorecard, scorecardTable)}
${panel('Checks', pkg, DOCUMENTS.evidence, evidence, (value) => evidenceTable(pkg, asList(value, 'evidence') ?? []))}`;
    const now = await services.registry.read.now();
    return packageFrame({ pkg, caller, now, tab: 'run', title: 'Run', body });
  },
});

function panel(title: string, pkg: PackageRecord, path: string, read: ReadDocument, show: (value: Json) => Html): Html {
  const source = html`<a href="${packageAddress(pkg.id)}/files/${encodePath(path)}"><code>${path}</code></a>`;
  const content =
    read === null
      ? html`<p class="soft">The run has no <code>${path}</code>.</p>`
      : 'problem' in read
        ? html`<p class="note warn">${source} ${read.problem}.</p>`
        : html`${show(read.value)}<p class="soft small">From ${source}</p>`;
  return html`<section class="panel"><h2>${title}</h2>${content}</section>`;
}

function findingsTable(items: readonly Json[]): Html {
  if (items.length === 0) return html`<p>None: nothing was found that was not expected to be so.</p>`;
  return html`<table class="stack"><thead><tr><th scope="col">Finding</th><th scope="col">Severity</th><th scope="col">Status</th><th scope="col">Check</th></tr></thead>
<tbody>${shown(items).map(
    (item) => html`<tr><td><span class="strong">${said(item, 'title', 'summary', 'message', 'id')}</span></td>
<td data-label="Severity">${marked(item, 'severity')}</td><td data-label="Status">${marked(item, 'status')}</td>
<td data-label="Check"><code>${said(item, 'check_id')}</code></td></tr>`,
  )}</tbody></table>${more(items)}`;
}

function evidenceTable(pkg: PackageRecord, items: readonly Json[]): Html {
  if (items.length === 0) return html`<p>None.</p>`;
  return html`<table class="stack"><thead><tr><th scope="col">Check</th><th scope="col">Result</th><th scope="col">What was observed</th></tr></thead>
<tbody>${shown(items).map((item) => {
    const observations = (asList(item.observations) ?? []).slice(0, 5).map(String);
    const files = (asList(item.artifact_refs) ?? []).slice(0, 8).map(String);
    return html`<tr><td><code class="strong">${said(item, 'check_id', 'id')}</code></td><td data-label="Result">${marked(item, 'result')}</td>
<td data-label="Observed">${observations.map((text) => html`<div>${cut(text)}</div>`)}${
      files.length === 0
        ? null
        : html`<span class="sub">${files.map((path, n) => html`${n === 0 ? null : ' · '}<a href="${packageAddress(pkg.id)}/files/${encodePath(path.toWellFormed())}">${path.slice(path.lastIndexOf('/') + 1)}</a>`)}</span>`
    }</td></tr>`;
  })}</tbody></table>${more(items)}`;
}

function scorecardTable(value: Json): Html {
  const { score, capabilities } = readScorecard(value);
  if (capabilities.length === 0) return html`<p>It names no capability.</p>`;
  return html`${score === null ? null : html`<p><strong>${score} %</strong> <span class="soft">weighted, over ${countOf(capabilities.length, 'group')}</span></p>`}
<table><thead><tr><th scope="col">Capability</th><th scope="col">Level</th><th scope="col" class="num">Of ${LEVEL_MAX}</th><th scope="col" class="num">Weight</th></tr></thead>
<tbody>${capabilities.map(capabilityRow)}</tbody></table>`;
}

function capabilityRow({ name, title, level, weight }: Capability): Html {
  const label = title ?? name;
  return html`<tr><td>${label}</td><td><progress max="${LEVEL_MAX}" value="${level}" aria-label="${label}: level ${level} of ${LEVEL_MAX}"></progress></td>
<td class="num">${level}</td><td class="num">${weight}</td></tr>`;
}

function shown(items: readonly Json[]): JsonObject[] {
  return items.slice(0, ROWS_MAX).map((item) => asObject(item) ?? {});
}

function more(items: readonly Json[]): Html | null {
  const rest = items.length - ROWS_MAX;
  return rest > 0 ? html`<p class="soft">and ${countOf(rest, 'more', 'more')}: the file has all of them.</p>` : null;
}

function said(item: JsonObject, ...keys: string[]): string {
  return cut(firstText(item, ...keys) ?? '–');
}

function marked(item: JsonObject, key: string): Html | null {
  const text = firstText(item, key);
  return text === null ? null : resultBadge(cut(text));
}

function cut(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX).toWellFormed()}…`;
}

import type { Json, JsonObject } from '../core/canonical-json.ts';
import { formatTime } from '../core/format.ts';
import { asList, asObject, asText } from '../core/json-fields.ts';
import { type Html, html } from './html.ts';
import { badge, facts, type Tone } from './words.ts';

/** Colours of results and severities of guide-board; of others there is none. */
const TONES: Readonly<Record<string, Tone>> = {
  pass: 'good',
  passed: 'good',
  fail: 'bad',
  failed: 'bad',
  infrastructure_error: 'bad',
  blocked: 'bad',
  critical: 'bad',
  high: 'bad',
  warning: 'warn',
  medium: 'warn',
  manual: 'warn',
  unknown: 'warn',
  unexpected: 'bad',
};

export function resultBadge(text: string): Html {
  return badge(text, TONES[text] ?? '');
}

/** What a person wants to know of a guide-board run first, from the metadata that was ingested with it. */
export function runSummary(metadata: JsonObject): Html {
  const text = (key: string): string | null => asText(metadata[key]);
  const tck = text('tck_version');
  const assessment = text('assessment_profile_ref');
  const times = [text('started_at'), text('completed_at')].filter((time) => time !== null);
  const score = metadata.score_percent;
  const missing = asList(metadata.missing) ?? [];
  const discrepancies = asList(metadata.discrepancies) ?? [];
  return html`${facts([
    ['Result', text('result_status') === null ? null : resultBadge(text('result_status') ?? '')],
    ['Run', text('run_id')],
    ['Target', text('target_profile_ref')],
    ['Assessment', assessment === null ? null : `${assessment}${tck === null ? '' : `, TCK ${tck}`}`],
    ['Ran', times.length === 0 ? null : times.map(minute).join(' to ')],
    ['Checks', counted(metadata.evidence_counts)],
    ['Findings', counted(metadata.finding_counts)],
    ['Of these', metadata.finding_status_counts === undefined ? null : counted(metadata.finding_status_counts)],
    ['Score', typeof score === 'number' ? html`<strong>${score} %</strong>` : null],
    ['Commits', commits(metadata.source_commits)],
  ])}
${missing.length === 0 ? null : html`<p class="note warn">Expected, and not there: ${missing.map(String).join(', ')}.</p>`}
${
  discrepancies.length === 0
    ? null
    : html`<p class="note warn">The run's files disagree with one another: ${discrepancies.map((each) => String(asObject(each)?.what)).join(', ')}.</p>`
}`;
}

/** As it was written, where it is no time. */
function minute(text: string): string {
  return Number.isNaN(Date.parse(text)) ? text : formatTime(text);
}

function counted(value: Json | undefined): Html {
  const counts = Object.entries(asObject(value) ?? {});
  if (counts.length === 0) return html`none`;
  return html`<span class="badges">${counts.map(([name, count]) => badge(`${name} ${String(count)}`, TONES[name] ?? ''))}</span>`;
}

function commits(value: Json | undefined): Html | null {
  const entries = Object.entries(asObject(value) ?? {});
  if (entries.length === 0) return null;
  return html`${entries.map(
    ([repository, commit], index) =>
      html`${index === 0 ? null : html`<br>`}${repository} <code title="${String(commit)}">${String(commit).slice(0, 12)}</code>`,
  )}`;
}

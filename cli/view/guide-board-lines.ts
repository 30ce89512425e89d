import type { Json, JsonObject } from '../../src/core/canonical-json.ts';
import { asList, asObject, asText } from '../../src/core/json-fields.ts';
import { LEVEL_MAX } from '../../src/core/scorecard.ts';
import { LEFT_OUT_MEMBER } from '../client/tree/left-out.ts';
import { countOf } from '../format.ts';
import { type Counts, sayCounts } from '../guide-board/counts.ts';
import type { Line } from './lines.ts';

const SHORT_COMMIT = 12;

/** What a person wants to know of a guide-board run, from the metadata that was ingested with it. */
export function guideBoardLines(metadata: JsonObject): Line[] {
  const lines: Line[] = [];
  const add = (label: string, ...texts: string[]): void => void lines.push([label, ...texts]);
  const text = (key: string): string | null => asText(metadata[key]);

  add('run', text('run_id') ?? 'unknown');
  const tck = text('tck_version');
  add('assessment', `${text('assessment_profile_ref') ?? 'unknown'}${tck === null ? '' : `, TCK ${tck}`}`);
  const times = [text('started_at'), text('completed_at')].filter((time) => time !== null);
  if (times.length > 0) add('ran', times.join(' to '));
  add('result', text('result_status') ?? 'unknown');
  add('evidence', counted(metadata.evidence_counts));
  const statuses = asObject(metadata.finding_status_counts);
  add('findings', counted(metadata.finding_counts) + (statuses === null ? '' : ` (${counted(statuses)})`));
  add('score', typeof metadata.score_percent === 'number' ? `${metadata.score_percent} %` : 'no scorecard');
  const levels = Object.entries(asObject(metadata.capability_levels) ?? {});
  if (levels.length > 0) add('levels', ...levels.map(([name, level]) => `${String(level)} of ${LEVEL_MAX}  ${name}`));
  add('commits', ...commitTexts(metadata.source_commits));
  add('reports', ...listed(metadata.report_paths));
  add('missing', ...listed(metadata.missing));
  if (asList(metadata.unreadable) !== null) add('unreadable', ...listed(metadata.unreadable));
  const discrepancies = asList(metadata.discrepancies) ?? [];
  if (discrepancies.length > 0) add('disagreeing', ...discrepancies.map(discrepancyText));
  return lines;
}

function counted(value: Json | undefined): string {
  return sayCounts((asObject(value) ?? {}) as Counts);
}

function commitTexts(value: Json | undefined): string[] {
  const commits = Object.entries(asObject(value) ?? {});
  if (commits.length === 0) return ['none recorded'];
  return commits.map(([repository, commit]) => `${String(commit).slice(0, SHORT_COMMIT)}  ${repository}`);
}

function listed(value: Json | undefined): string[] {
  const list = (asList(value) ?? []).map(String);
  return list.length === 0 ? ['none'] : list;
}

function discrepancyText(value: Json): string {
  const found = asObject(value) ?? {};
  return `${String(found.what)}: ${brief(found.computed)} in the run, ${brief(found.claimed)} in ${String(found.file)}`;
}

function brief(value: Json | undefined): string {
  return asObject(value) === null ? String(value) : counted(value);
}

/** Metadata of any other producer: its scalars, the rest counted. What was left out has a line of its own. */
export function metadataLines(metadata: JsonObject): Line[] {
  const own = Object.entries(metadata).filter(([key]) => key !== LEFT_OUT_MEMBER);
  return own.map(([key, value]): Line => {
    if (Array.isArray(value)) return [key, countOf(value.length, 'entry', 'entries')];
    const object = asObject(value);
    return [key, object === null ? String(value) : countOf(Object.keys(object).length, 'member')];
  });
}

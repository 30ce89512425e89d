import type { Json, JsonObject } from '../../src/core/canonical-json.ts';
import { asList, asObject, asText, firstMember, firstText, member } from '../../src/core/json-fields.ts';
import { DOCUMENTS, EVIDENCE_RESULTS, GUIDE_BOARD, RUN_FILE } from '../../src/core/run-shape.ts';
import { readScorecard, type Scorecard } from '../../src/core/scorecard.ts';
import { isOneLine } from '../../src/core/text-problem.ts';
import { type Counts, countBy } from './counts.ts';
import {
  commitDiscrepancies,
  countDiscrepancies,
  type Discrepancy,
  foreignItems,
  resultDiscrepancies,
  sayDiscrepancy,
  scoreDiscrepancies,
} from './discrepancies.ts';
import type { RunDirectory } from './read-run.ts';
import { RunError } from './run-error.ts';
import { type RunRetention, readRetention } from './run-retention.ts';
import { lockedCommits, sourceCommits } from './source-commits.ts';

export const PRODUCER = GUIDE_BOARD;

/** A run as the store is to know it. */
export interface RunDescription {
  runId: string;
  name: string;
  producer: typeof PRODUCER;
  subject: string | null;
  metadata: JsonObject;
  retention: RunRetention;
  missing: string[];
  discrepancies: Discrepancy[];
  /** For people, one sentence each; missing files are not among them. */
  warnings: string[];
}

const LIST_MAX = 1_000;
const LIST_MAX_BYTES = 48 * 1024;
const TEXT_MAX = 512;

/**
 * What a run says of itself, computed from what was read. Counts come from normalized/*.json, never from a summary.
 * @throws RunError when run.json holds no usable run id
 */
export function describeRun(run: RunDirectory): RunDescription {
  const { documents } = run;
  const runId = runIdOf(documents.run);
  const warnings = run.unreadable.map(({ path, problem }) => `${path} ${problem}; kept, but nothing is taken from it.`);
  const evidence = listOf(run, 'evidence', warnings);
  const findings = listOf(run, 'findings', warnings);
  const counts = {
    evidence: countBy(evidence, ({ result }) => result),
    findings: countBy(findings, ({ severity, status }) => severity ?? status),
    findingStatuses: countBy(findings, ({ status }) => status),
  };
  warnings.push(...unknownResults(counts.evidence));
  const references = referencesOf(documents, warnings);
  const commits = {
    stated: sourceCommits(firstMember(documents.run, 'source_commits', 'sources', 'commits')),
    locked: lockedCommits(documents.sourcesLock),
  };
  const scorecard = documents.scorecard === undefined ? null : readScorecard(documents.scorecard);
  const discrepancies = [
    ...countDiscrepancies(documents, 'evidence', ['result_counts', 'results'], [counts.evidence]),
    // A summary may count findings by severity or by status: it disagrees only when it is neither.
    ...countDiscrepancies(documents, 'finding', ['findings'], [counts.findings, counts.findingStatuses]),
    ...resultDiscrepancies(documents, references.result_status),
    ...foreignItems(runId, DOCUMENTS.evidence, evidence),
    ...foreignItems(runId, DOCUMENTS.findings, findings),
    ...commitDiscrepancies(commits.stated, commits.locked),
    ...scoreDiscrepancies(scorecard),
  ];
  const metadata: JsonObject = {
    run_id: runId,
    ...references,
    source_commits: Object.fromEntries(Object.entries({ ...commits.locked, ...commits.stated }).slice(0, LIST_MAX)),
    report_paths: limited(run.reportPaths, 'report paths', warnings),
    evidence_counts: counts.evidence,
    finding_counts: counts.findings,
    ...furtherFacts(documents, evidence, findings, counts.findingStatuses),
    ...scoreFacts(scorecard),
    missing: limited(run.missing, 'missing files', warnings),
    ...(run.unreadable.length === 0 ? {} : { unreadable: run.unreadable.map(({ path }) => path) }),
    ...(discrepancies.length === 0 ? {} : { discrepancies: discrepancies.map((found) => ({ ...found })) }),
  };
  warnings.push(...discrepancies.map(sayDiscrepancy));
  const subject = subjectOf(references.target_profile_ref, warnings);
  const { missing } = run;
  const retention = readRetention(documents.summary, warnings);
  return { runId, name: runId, producer: PRODUCER, subject, metadata, retention, missing, discrepancies, warnings };
}

function referencesOf(documents: RunDirectory['documents'], warnings: string[]) {
  const references = {
    target_profile_ref:
      firstText(documents.run, 'target_profile_ref', 'target_profile', 'target') ??
      firstText(documents.plan, 'target_profile_ref'),
    assessment_profile_ref:
      firstText(documents.run, 'assessment_profile_ref', 'assessment_profile', 'assessment') ??
      firstText(documents.plan, 'assessment_profile_ref'),
    result_status: firstText(documents.run, 'result_status', 'result', 'status'),
  };
  for (const [field, value] of Object.entries(references)) {
    if (value === null) warnings.push(`${RUN_FILE} names no ${field}.`);
  }
  return references;
}

function runIdOf(document: Json | undefined): string {
  const at = (field: string) => ({ file: RUN_FILE, field });
  if (asObject(document) === null) throw new RunError(`${RUN_FILE} is not a JSON object.`, { file: RUN_FILE });
  const field = member(document, 'run_id') === undefined && member(document, 'id') !== undefined ? 'id' : 'run_id';
  const value = member(document, field);
  if (value === undefined) throw new RunError(`${RUN_FILE} has no run_id: nothing says which run this is.`, at(field));
  if (typeof value !== 'string' || value.trim() === '') {
    throw new RunError(`${field} in ${RUN_FILE} is not a text that names the run.`, at(field));
  }
  if (value.length > TEXT_MAX)
    throw new RunError(`${field} in ${RUN_FILE} is longer than ${TEXT_MAX} characters.`, at(field));
  if (!isOneLine(value)) {
    throw new RunError(`${field} in ${RUN_FILE} contains control characters or is not valid Unicode.`, at(field));
  }
  return value;
}

/** The metadata keeps a reference of any form; a package's subject is one short line. */
function subjectOf(target: string | null, warnings: string[]): string | null {
  if (target === null || (target.length <= TEXT_MAX && isOneLine(target))) return target;
  warnings.push(
    `target_profile_ref in ${RUN_FILE} is not a valid subject (too long, or control characters): the package gets none.`,
  );
  return null;
}

function listOf(run: RunDirectory, name: 'evidence' | 'findings', warnings: string[]): Json[] {
  const document = run.documents[name];
  if (document === undefined) return [];
  const list = asList(document, name);
  if (list === null) warnings.push(`${DOCUMENTS[name]} has no list of ${name}: nothing was counted.`);
  return list ?? [];
}

/** Kept as they are: guide-board may know results by now that were not defined when this was written. */
function unknownResults(counts: Counts): string[] {
  const unknown = Object.keys(counts).filter((result) => !EVIDENCE_RESULTS.has(result));
  if (unknown.length === 0) return [];
  return [
    `${DOCUMENTS.evidence} has results that guide-board does not define, counted as they are: ${unknown.join(', ')}.`,
  ];
}

function furtherFacts(
  documents: RunDirectory['documents'],
  evidence: readonly Json[],
  findings: readonly Json[],
  findingStatuses: Counts,
): JsonObject {
  const versioned = evidence.find((item) => firstText(item, 'facts.tck_version') !== null);
  const facts: Record<string, Json> = {
    run_status: firstText(documents.run, 'status'),
    started_at: firstText(documents.run, 'started_at', 'times.started_at'),
    completed_at: firstText(documents.run, 'completed_at', 'finished_at', 'times.completed_at'),
    tck_version:
      firstText(documents.run, 'tck_version', 'tck.version', 'harness.version') ??
      firstText(versioned, 'facts.tck_version'),
    run_retention_policy: scalarsOf(firstMember(documents.summary, 'retention_policy', 'policy')),
  };
  if (findings.some((item) => firstText(item, 'severity') !== null && firstText(item, 'status') !== null)) {
    facts.finding_status_counts = findingStatuses;
  }
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== null));
}

/** The run's own retention policy, for the record: see run-retention.ts for what follows from it. */
function scalarsOf(value: Json | undefined): JsonObject | null {
  const scalars = Object.entries(asObject(value) ?? {})
    .map(([key, entry]) => [key, typeof entry === 'number' ? entry : asText(entry)] as const)
    .filter(([key, entry]) => entry !== null && key.isWellFormed() && !key.includes('\u0000'));
  return scalars.length === 0 ? null : Object.fromEntries(scalars.slice(0, 32));
}

function scoreFacts(scorecard: Scorecard | null): JsonObject {
  if (scorecard === null) return {};
  const { score, levels } = scorecard;
  return { ...(score === null ? {} : { score_percent: score }), capability_levels: levels };
}

/** Metadata is small and no place for thousands of paths: the manifest lists every file. */
function limited(values: readonly string[], what: string, warnings: string[]): string[] {
  const kept: string[] = [];
  let bytes = 0;
  for (const value of values.slice(0, LIST_MAX)) {
    bytes += Buffer.byteLength(value);
    if (bytes > LIST_MAX_BYTES) break;
    kept.push(value);
  }
  if (kept.length < values.length) {
    warnings.push(`The metadata names the first ${kept.length} of ${values.length} ${what}.`);
  }
  return kept;
}

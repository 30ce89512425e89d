import type { Json } from '../../src/core/canonical-json.ts';
import { asObject, asText, firstText, member } from '../../src/core/json-fields.ts';
import { DOCUMENTS, type DocumentName } from '../../src/core/run-shape.ts';
import type { Scorecard } from '../../src/core/scorecard.ts';
import { type Counts, claimedCounts, sameCounts, sayCounts } from './counts.ts';
import type { RunDirectory } from './read-run.ts';

/** Two places of a run that do not agree; both are kept as they are. */
export interface Discrepancy {
  what: string;
  computed: Json;
  claimed: Json;
  /** The file that claims otherwise. */
  file: string;
}

type Documents = RunDirectory['documents'];

/** Where a run sums up what is counted from its normalized files. */
const SUMMARIES = ['run', 'summary', 'assessment'] as const satisfies readonly DocumentName[];

/** Nothing is compared when nothing was counted: that the file is missing or unreadable is said already. */
export function countDiscrepancies(
  documents: Documents,
  of: 'evidence' | 'finding',
  otherNames: readonly string[],
  computed: readonly [Counts, ...Counts[]],
): Discrepancy[] {
  if (documents[of === 'evidence' ? 'evidence' : 'findings'] === undefined) return [];
  const what = `${of}_counts`;
  const names = [what, ...otherNames].flatMap((name) => [name, `summary.${name}`, `counts.${name}`]);
  return SUMMARIES.flatMap((document) => {
    const claimed = claimedCounts(documents[document], ...names);
    if (claimed === null || computed.some((counts) => sameCounts(counts, claimed))) return [];
    return [{ what, computed: computed[0], claimed, file: DOCUMENTS[document] }];
  });
}

/** The result is the run's own word; here a summary repeats it differently. */
export function resultDiscrepancies(documents: Documents, result: string | null): Discrepancy[] {
  return (['summary', 'assessment'] as const).flatMap((document) => {
    const claimed = firstText(documents[document], 'result_status', 'summary.result_status');
    if (claimed === null || result === null || claimed === result) return [];
    return [{ what: 'result_status', computed: result, claimed, file: DOCUMENTS[document] }];
  });
}

/** A scorecard's percentage that its own levels and weights do not give; half a point is rounding. */
export function scoreDiscrepancies(scorecard: Scorecard | null): Discrepancy[] {
  if (scorecard === null) return [];
  const { score, computed } = scorecard;
  if (score === null || computed === null || Math.abs(score - computed) <= 0.5) return [];
  return [{ what: 'score', computed, claimed: score, file: DOCUMENTS.scorecard }];
}

/** Items that say they belong to another run. */
export function foreignItems(runId: string, file: string, items: readonly Json[]): Discrepancy[] {
  const foreign = items.map((item) => asText(member(item, 'run_id'))).filter((id) => id !== null && id !== runId);
  if (foreign.length === 0) return [];
  return [{ what: `run_id of ${foreign.length} items`, computed: runId, claimed: foreign[0] ?? null, file }];
}

/** Repositories that run.json and the lock both name, with different commits. */
export function commitDiscrepancies(
  stated: Readonly<Record<string, string>>,
  locked: Readonly<Record<string, string>>,
): Discrepancy[] {
  return Object.entries(locked)
    .filter(([repository, commit]) => Object.hasOwn(stated, repository) && stated[repository] !== commit)
    .map(([repository, commit]) => ({
      what: `commit of ${repository}`,
      computed: stated[repository] ?? null,
      claimed: commit,
      file: DOCUMENTS.sourcesLock,
    }));
}

export function sayDiscrepancy({ what, computed, claimed, file }: Discrepancy): string {
  return `${file} does not agree on ${what}: ${say(claimed)} there, ${say(computed)} in the run. Both are kept.`;
}

function say(value: Json): string {
  const counts = asObject(value);
  return counts === null ? String(value) : sayCounts(counts as Counts);
}

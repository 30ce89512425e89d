import type { Json } from '../../src/core/canonical-json.ts';
import { FILE_RULE_DAYS_MAX } from '../../src/core/file-rules.ts';
import { firstMember } from '../../src/core/json-fields.ts';
import type { FileRule } from '../../src/core/retention.ts';
import { DOCUMENTS, RAW_ARTIFACTS } from '../../src/core/run-shape.ts';

/** How long a run asks to be kept. */
export interface RunRetention {
  /** Null: it does not say. */
  summaryDays: number | null;
  /** For its raw artifacts, when they need not be kept as long as the rest. */
  fileRules: FileRule[];
}

/** @param summary retention-summary.json */
export function readRetention(summary: Json | undefined, warnings: string[]): RunRetention {
  const policy = firstMember(summary, 'retention_policy', 'policy');
  const days = (...fields: string[]): number | null => {
    const value = firstMember(policy, ...fields);
    if (value === undefined) return null;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= FILE_RULE_DAYS_MAX) return value;
    warnings.push(`${fields[0]} in ${DOCUMENTS.summary} is no number of days: nothing follows from it.`);
    return null;
  };
  const [summaryDays, rawDays] = [
    days('summary_days', 'summary_retention_days', 'summary.days'),
    days('raw_artifact_days', 'raw_artifacts_days', 'raw_artifact_retention_days', 'raw_artifacts.days'),
  ];
  // Without a longer time for the rest there is no reason to let the raw ones go before it.
  const shorter = rawDays !== null && summaryDays !== null && rawDays < summaryDays;
  return { summaryDays, fileRules: shorter ? [{ path: RAW_ARTIFACTS, days: rawDays }] : [] };
}

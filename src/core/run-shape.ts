export const GUIDE_BOARD = 'guide-board';

/** What a guide-board run consists of. Only run.json is required: older runs lack the newer files. */
export const RUN_FILE = 'run.json';

export const DOCUMENTS = {
  run: RUN_FILE,
  plan: 'plan.json',
  summary: 'retention-summary.json',
  sourcesLock: 'sources.lock.json',
  evidence: 'normalized/evidence.json',
  findings: 'normalized/findings.json',
  assessment: 'reports/assessment-package.json',
  scorecard: 'reports/cmis-maturity-scorecard.json',
} as const;
export type DocumentName = keyof typeof DOCUMENTS;

/** Expected beside run.json; the ones that are not there are said to be missing. */
export const EXPECTED_FILES = [
  'plan.json',
  'retention-summary.json',
  'sources.lock.json',
  'normalized/evidence.json',
  'normalized/findings.json',
  'normalized/mappings.json',
  'reports/assessment-package.json',
  'reports/report.md',
  'reports/cmis-maturity-scorecard.json',
  'reports/cmis-maturity-scorecard.md',
  'reports/opencmis-log-review.json',
  'reports/opencmis-log-review.md',
  'reports/submission-package.json',
  'reports/fragments.json',
  'exports/export-manifest.json',
] as const;

export const REPORTS_FOLDER = 'reports';
/** Logs and raw results of the harnesses, which a run's policy may keep less long than what was made of them. */
export const RAW_ARTIFACTS = 'artifacts/**';
export const CHECK_GROUPS_FOLDER = 'artifacts/open-cmis-tck/tck';
export const CHECK_GROUP_FILES = [
  'invocation.json',
  'stdout.log',
  'stderr.log',
  'normalized-runner-result.json',
] as const;

export const EVIDENCE_RESULTS: ReadonlySet<string> = new Set([
  'pass',
  'fail',
  'warning',
  'manual',
  'not_applicable',
  'skipped',
  'expected_gap',
  'waiver_applied',
  'unsupported_by_design',
  'infrastructure_error',
  'blocked',
  'unknown',
]);

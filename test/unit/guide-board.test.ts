import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { describeRun, type RunDescription } from '../../cli/guide-board/describe-run.ts';
import { readRun } from '../../cli/guide-board/read-run.ts';
import { RunError } from '../../cli/guide-board/run-error.ts';
import { FIXTURE_RUN } from '../../fixtures/generate-guide-board.ts';
import { canonicalMetadata } from '../../src/core/metadata.ts';

const base = await mkdtemp(path.join(tmpdir(), 'guide-board-'));
test.after.always(() => rm(base, { recursive: true, force: true }));

let made = 0;

/** A copy of the fixture's documents, without the artifacts. */
async function copyRun(): Promise<string> {
  const copy = path.join(base, `run ${made++}`);
  await cp(FIXTURE_RUN, copy, { recursive: true, filter: (source) => !source.endsWith('stdout.log') });
  return copy;
}

async function runWith(files: Record<string, unknown>): Promise<string> {
  const directory = path.join(base, `run ${made++}`);
  for (const [file, content] of Object.entries(files)) {
    const target = path.join(directory, file);
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, typeof content === 'string' ? content : JSON.stringify(content));
  }
  return directory;
}

async function edit(
  directory: string,
  file: string,
  change: (document: Record<string, unknown>) => void,
): Promise<void> {
  const target = path.join(directory, file);
  const document = JSON.parse(await readFile(target, 'utf8'));
  change(document);
  await writeFile(target, JSON.stringify(document));
}

async function describe(directory: string): Promise<RunDescription> {
  return describeRun(await readRun(directory));
}

async function refused(t: ExecutionContext, directory: string): Promise<RunError | undefined> {
  return t.throwsAsync(describe(directory), { instanceOf: RunError });
}

/** Counted here without the code under test. */
async function tally(file: string, field: string): Promise<Record<string, number>> {
  const { items } = JSON.parse(await readFile(path.join(FIXTURE_RUN, file), 'utf8'));
  const counts: Record<string, number> = {};
  for (const item of items) counts[item[field]] = (counts[item[field]] ?? 0) + 1;
  return counts;
}

test("the run's own policy: a rule for its raw artifacts, where it says so and the rest is kept longer", async (t) => {
  t.deepEqual((await describe(FIXTURE_RUN)).retention, {
    summaryDays: 365,
    fileRules: [{ path: 'artifacts/**', days: 30 }],
  });
  const policyOf = async (retention_policy: unknown) => {
    const directory = await runWith({ 'run.json': { run_id: 'r' }, 'retention-summary.json': { retention_policy } });
    const { retention, warnings } = await describe(directory);
    return { ...retention, warned: warnings.filter((text) => text.includes('number of days')).length };
  };
  const none = { summaryDays: null, fileRules: [], warned: 0 };
  t.deepEqual(await policyOf(undefined), none);
  t.deepEqual(await policyOf({ raw_artifact_days: 30 }), none);
  t.deepEqual(await policyOf({ summary_days: 365 }), { ...none, summaryDays: 365 });
  t.deepEqual(await policyOf({ summary_days: 30, raw_artifact_days: 30 }), { ...none, summaryDays: 30 });
  t.deepEqual(await policyOf({ summary_days: 365, raw_artifact_days: 'soon' }), {
    ...none,
    summaryDays: 365,
    warned: 1,
  });
  t.deepEqual(await policyOf({ summary_days: 365, raw_artifact_days: -1 }), { ...none, summaryDays: 365, warned: 1 });
  const old = await describe(await runWith({ 'run.json': { run_id: 'r' } }));
  t.deepEqual(old.retention, { summaryDays: null, fileRules: [] });
});

test('the fixture run: identity, counts, commits, reports and score as they stand in its files', async (t) => {
  const json = async (file: string) => JSON.parse(await readFile(path.join(FIXTURE_RUN, file), 'utf8'));
  const run = await json('run.json');
  const described = await describe(FIXTURE_RUN);
  t.is(described.runId, run.run_id);
  t.is(described.producer, 'guide-board');
  t.is(described.subject, run.target_profile_ref);
  const { metadata } = described;
  t.is(metadata.run_id, run.run_id);
  t.is(metadata.target_profile_ref, 'kontextual-cmis-compat');
  t.is(metadata.assessment_profile_ref, 'cmis-browser-baseline');
  t.is(metadata.result_status, 'warning');
  t.is(metadata.tck_version, '1.1.0');
  t.deepEqual(metadata.source_commits, run.source_commits);
  t.deepEqual(
    metadata.report_paths,
    (await readdir(path.join(FIXTURE_RUN, 'reports'))).sort().map((name) => `reports/${name}`),
  );
  t.deepEqual(metadata.evidence_counts, await tally('normalized/evidence.json', 'result'));
  t.deepEqual(metadata.evidence_counts, { pass: 1, warning: 2 });
  t.deepEqual(metadata.finding_counts, await tally('normalized/findings.json', 'severity'));
  t.is(metadata.score_percent, (await json('reports/cmis-maturity-scorecard.json')).weighted_percentage);
  t.is(Object.keys(metadata.capability_levels as object).length, 9);
  t.deepEqual([described.missing, described.discrepancies, described.warnings], [[], [], []]);
});

test('an older run: what newer runs have is reported as missing, and nothing else changes', async (t) => {
  const directory = await copyRun();
  const newer = [
    'sources.lock.json',
    'reports/submission-package.json',
    'reports/fragments.json',
    'exports/export-manifest.json',
  ];
  for (const file of newer) await rm(path.join(directory, file));
  const described = await describe(directory);
  t.deepEqual(
    described.missing.filter((file) => !file.endsWith('stdout.log')),
    newer,
  );
  t.deepEqual(described.metadata.missing, described.missing);
  t.deepEqual(described.metadata.evidence_counts, { pass: 1, warning: 2 });
  t.deepEqual(described.metadata.source_commits, (await describe(FIXTURE_RUN)).metadata.source_commits);
  t.deepEqual(described.discrepancies, []);
});

test('a run without a scorecard has no score, and a lock alone gives the commits', async (t) => {
  const directory = await copyRun();
  await rm(path.join(directory, 'reports/cmis-maturity-scorecard.json'));
  await edit(directory, 'run.json', (run) => delete run.source_commits);
  const described = await describe(directory);
  t.false('score_percent' in described.metadata);
  t.true(described.missing.includes('reports/cmis-maturity-scorecard.json'));
  t.deepEqual(described.metadata.source_commits, (await describe(FIXTURE_RUN)).metadata.source_commits);
});

test('files of a check group that are not there are missing by name', async (t) => {
  const directory = await copyRun();
  t.deepEqual((await describe(directory)).missing, [
    'artifacts/open-cmis-tck/tck/object-content/stdout.log',
    'artifacts/open-cmis-tck/tck/repository-type/stdout.log',
  ]);
  await rm(path.join(directory, 'artifacts'), { recursive: true });
  t.deepEqual((await describe(directory)).missing, ['artifacts/open-cmis-tck/tck/']);
});

test('a summary that disagrees: computed counts are stored, both are kept, the difference is reported', async (t) => {
  const directory = await copyRun();
  await edit(directory, 'retention-summary.json', (summary) => {
    summary.evidence_counts = { pass: 3 };
  });
  const described = await describe(directory);
  t.deepEqual(described.metadata.evidence_counts, { pass: 1, warning: 2 });
  const expected = [
    {
      what: 'evidence_counts',
      computed: { pass: 1, warning: 2 },
      claimed: { pass: 3 },
      file: 'retention-summary.json',
    },
  ];
  t.deepEqual(described.discrepancies, expected);
  t.deepEqual(described.metadata.discrepancies, expected);
  t.regex(described.warnings.join('\n'), /retention-summary\.json does not agree on evidence_counts/);
});

test('a summary that lists results which do not occur, or counts findings by status, does not disagree', async (t) => {
  const directory = await copyRun();
  await edit(directory, 'retention-summary.json', (summary) => {
    summary.evidence_counts = { pass: 1, warning: 2, fail: 0 };
    summary.finding_counts = { expected: 2, unexpected: 0 };
  });
  t.deepEqual((await describe(directory)).discrepancies, []);
});

test('items of another run, another commit in the lock and a score that its levels do not give are discrepancies', async (t) => {
  const directory = await copyRun();
  await edit(directory, 'normalized/evidence.json', (document) => {
    (document.items as Array<Record<string, unknown>>)[1] = { run_id: 'run-20200101T000000Z', result: 'warning' };
  });
  await edit(directory, 'sources.lock.json', (lock) => {
    lock.sources = [{ repository: 'kontextual', commit: 'f'.repeat(40) }];
  });
  await edit(directory, 'reports/cmis-maturity-scorecard.json', (scorecard) => {
    scorecard.weighted_percentage = 99;
  });
  const described = await describe(directory);
  t.deepEqual(
    described.discrepancies.map(({ what, file }) => [what, file]),
    [
      ['run_id of 1 items', 'normalized/evidence.json'],
      ['commit of kontextual', 'sources.lock.json'],
      ['score', 'reports/cmis-maturity-scorecard.json'],
    ],
  );
  t.is(described.metadata.score_percent, 99);
});

test('the shapes that lists and commits may have all give the same', async (t) => {
  const commits = { alpha: 'a'.repeat(40), beta: 'b'.repeat(40) };
  const evidence = [{ result: 'pass' }, { result: 'blocked' }, { result: 'pass' }];
  const shapes: Array<[unknown, unknown]> = [
    [commits, evidence],
    [Object.entries(commits).map(([repository, commit]) => ({ repository, commit })), { items: evidence }],
    [{ alpha: { commit: commits.alpha }, beta: { sha: commits.beta } }, { evidence }],
  ];
  for (const [source_commits, document] of shapes) {
    const directory = await runWith({
      'run.json': { run_id: 'run-1', source_commits },
      'normalized/evidence.json': document as object,
    });
    const { metadata } = await describe(directory);
    t.deepEqual(metadata.source_commits, commits);
    t.deepEqual(metadata.evidence_counts, { blocked: 1, pass: 2 });
  }
});

test('unknown results are counted as they are and warned of; findings without severity count by status', async (t) => {
  const directory = await runWith({
    'run.json': { run_id: 'run-1', target_profile_ref: { id: 'target' } },
    'normalized/evidence.json': [{ result: 'passed?' }, { result: '__proto__' }, { result: null }, 'no object'],
    'normalized/findings.json': { findings: [{ severity: 'high', status: 'open' }, { status: 'waived' }, {}] },
  });
  const described = await describe(directory);
  t.deepEqual(Object.entries(described.metadata.evidence_counts as object), [
    ['(none)', 2],
    ['__proto__', 1],
    ['passed?', 1],
  ]);
  t.deepEqual(described.metadata.finding_counts, { '(none)': 1, high: 1, waived: 1 });
  t.is(described.subject, 'target');
  t.regex(described.warnings.join('\n'), /does not define, counted as they are: \(none\), __proto__, passed\?/);
  t.regex(described.warnings.join('\n'), /names no assessment_profile_ref/);
});

test('the smallest run is run.json with a run id: every required key is there', async (t) => {
  const { metadata } = await describe(await runWith({ 'run.json': { run_id: 'run-1' } }));
  t.like(metadata, {
    run_id: 'run-1',
    target_profile_ref: null,
    assessment_profile_ref: null,
    result_status: null,
    source_commits: {},
    report_paths: [],
    evidence_counts: {},
    finding_counts: {},
  });
});

test('a document that is broken is kept as a file and said to be unusable', async (t) => {
  const directory = await copyRun();
  await writeFile(path.join(directory, 'normalized/findings.json'), '{"items": [');
  await writeFile(path.join(directory, 'reports/cmis-maturity-scorecard.json'), Buffer.from([0xff, 0xfe, 0x7b]));
  const described = await describe(directory);
  t.deepEqual(described.metadata.unreadable, ['normalized/findings.json', 'reports/cmis-maturity-scorecard.json']);
  t.regex(described.warnings.join('\n'), /normalized\/findings\.json is not JSON/);
  t.regex(described.warnings.join('\n'), /scorecard\.json is not UTF-8/);
  t.deepEqual(described.metadata.finding_counts, {});
});

test('a directory that is no run is refused, naming the file and the field', async (t) => {
  t.regex((await refused(t, path.join(base, 'nowhere')))?.message ?? '', /nowhere cannot be read as a directory/);
  const cases: Array<[Record<string, unknown>, RegExp, string | null]> = [
    [{ 'plan.json': {} }, /^run\.json is missing/, null],
    [{ 'run.json': 'certainly not JSON' }, /^run\.json is not JSON/, null],
    [{ 'run.json': [] }, /^run\.json is not a JSON object/, null],
    [{ 'run.json': 'null' }, /^run\.json is not a JSON object/, null],
    [{ 'run.json': {} }, /has no run_id/, 'run_id'],
    [{ 'run.json': { run_id: 7 } }, /run_id in run\.json is not a text/, 'run_id'],
    [{ 'run.json': { run_id: ' ' } }, /run_id in run\.json is not a text/, 'run_id'],
    [{ 'run.json': { id: {} } }, /^id in run\.json is not a text/, 'id'],
    [{ 'run.json': { run_id: 'x'.repeat(513) } }, /longer than 512/, 'run_id'],
    [{ 'run.json': { run_id: 'run\u0000' } }, /control characters/, 'run_id'],
    [{ 'run.json': '{"run_id":"\\ud800"}' }, /not valid Unicode/, 'run_id'],
  ];
  for (const [files, message, field] of cases) {
    const error = await refused(t, await runWith(files));
    t.regex(error?.message ?? '', message);
    t.is(error?.file, 'run.json');
    t.is(error?.field, field);
  }
});

test('a run.json that is huge, a link or a folder is refused without being read', async (t) => {
  const huge = await runWith({ 'run.json': { run_id: 'run-1', more: 'x'.repeat(5_000) } });
  await t.throwsAsync(readRun(huge, 4_096), {
    instanceOf: RunError,
    message: /run\.json has 5\d+ bytes, more than the 4096/,
  });

  const linked = await runWith({ 'real.json': { run_id: 'run-1' } });
  await symlink('real.json', path.join(linked, 'run.json'));
  t.regex((await refused(t, linked))?.message ?? '', /run\.json is not a regular file/);

  const folder = await runWith({ 'run.json/x': '' });
  t.regex((await refused(t, folder))?.message ?? '', /run\.json is not a regular file/);
});

test('whatever a run holds, its metadata is metadata that the store keeps', async (t) => {
  const nasty = 'half \ud800 and \u0000';
  const directory = await runWith({
    'run.json': { run_id: 'run-1', target_profile_ref: nasty, status: nasty, source_commits: { [nasty]: nasty } },
    'normalized/evidence.json': Array.from({ length: 5_000 }, (_, nth) => ({ result: `${nasty} ${nth}` })),
    'normalized/findings.json': [{ severity: 'x'.repeat(10_000) }],
    'retention-summary.json': { evidence_counts: { [nasty]: 1 }, retention_policy: { [nasty]: 1 } },
    'reports/cmis-maturity-scorecard.json': { capability_groups: [{ name: nasty, level: 4 }, null, 7] },
  });
  const described = await describe(directory);
  t.notThrows(() => canonicalMetadata(described.metadata));
  t.is(described.subject, 'half \\ud800 and \\u0000');
  t.true(Object.keys(described.metadata.evidence_counts as object).length <= 65);
  t.deepEqual(described.metadata.finding_counts, { '(other)': 1 });
});

test('nesting deeper than any stack is no trouble', async (t) => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  const described = await describe(
    await runWith({ 'run.json': { run_id: 'run-1' }, 'normalized/evidence.json': deep }),
  );
  t.deepEqual(described.metadata.evidence_counts, { '(none)': 1 });
});

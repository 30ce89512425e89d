import test from 'ava';
import fc from 'fast-check';
import { GUARANTEES } from '../../src/blobs/s3/guarantees.ts';
import { type ProbeReport, probeReport } from '../../src/blobs/s3/probe-report.ts';
import type { Trial, TrialName, Tried } from '../../src/blobs/s3/trial.ts';

const AT = { probedAt: 1, endpoint: 'http://storage' };
const refused = (stored: Trial['stored'] = 'nothing', code = 'AccessDenied'): Trial => ({ status: 403, code, stored });
const taken = (status = 200): Trial => ({ status, code: '', stored: 'right' });

/** What a backend shows on which everything holds. */
const PERFECT: Record<TrialName, Trial> = {
  part: taken(),
  wrong_body: refused(),
  empty_body: refused(),
  shorter_body: refused(),
  longer_body: refused(),
  copy_with_body: refused(),
  copy_without_body: refused(),
  other_hash: refused(),
  no_hash: refused(),
  expired: refused(),
  get: refused('right'),
  post: refused('right'),
  delete: refused('right'),
  late_part: refused('right'),
  late_wrong_part: refused('right'),
  late_empty_part: refused('right'),
  late_copy: refused('right'),
  own_part: taken(),
  own_wrong_part: refused(),
  own_object: taken(),
  own_wrong_object: refused(),
  right_checksum: taken(),
  wrong_checksum: refused(),
  download: taken(),
  download_headers: taken(),
  range: taken(206),
  wider_range: refused(),
  no_range: refused(),
  if_range_of_another: taken(206),
  if_range_of_old: taken(206),
  anonymous_read: refused(),
  upload_key_read: refused(),
};

/** Whose loss makes the service read everything back. */
const BELIEF: readonly TrialName[] = [
  'part',
  'wrong_body',
  'empty_body',
  'shorter_body',
  'longer_body',
  'copy_with_body',
  'copy_without_body',
  'other_hash',
  'no_hash',
  'late_part',
  'late_wrong_part',
  'late_empty_part',
  'late_copy',
  'own_part',
  'own_wrong_part',
  'own_object',
  'own_wrong_object',
];

function reportOn(trials: Tried['trials'], change: Partial<Tried> = {}): ProbeReport {
  const lock = { wanted: 'off', enabled: false, byDefault: null } as const;
  return probeReport({ problem: null, trials, hasUploadKey: true, clockSkewMs: 400, lock, ...change }, AT);
}

test('a backend on which everything holds', (t) => {
  const report = reportOn(PERFECT);
  t.true(report.enforcing);
  t.deepEqual(
    report.findings.filter(({ held }) => !held),
    [],
  );
  t.deepEqual(Object.keys(report.held), [...GUARANTEES]);
  t.true(report.findings.every(({ says, advice }) => says.endsWith('.') && advice === null));
});

test('each trial that goes wrong costs a guarantee, and says what to do', (t) => {
  for (const name of Object.keys(PERFECT) as TrialName[]) {
    const report = reportOn({ ...PERFECT, [name]: { status: 200, code: '', stored: 'other' } });
    const lost = report.findings.filter(({ held }) => !held);
    t.true(lost.length > 0, name);
    t.is(report.enforcing, !BELIEF.includes(name), name);
    for (const { weight, short, says, advice } of lost) {
      t.regex(says, /\.$/, name);
      t.regex(short, /\.$/, name);
      t.is(advice === null, weight === 'note', name);
    }
  }
});

test('what was not tried, or only in part, is not held', (t) => {
  fc.assert(
    fc.property(fc.subarray(Object.keys(PERFECT) as TrialName[]), (left) => {
      const trials = Object.fromEntries(left.map((name) => [name, PERFECT[name]]));
      const report = reportOn(trials);
      const whole = BELIEF.every((name) => left.includes(name));
      return report.enforcing === whole;
    }),
  );
  t.true(Object.values(reportOn({}, { clockSkewMs: null }).held).every((held) => !held));
});

test('a probe that broke off proves nothing', (t) => {
  const report = reportOn(PERFECT, { problem: 'the public endpoint cannot be reached' });
  t.false(report.enforcing);
  t.true(Object.values(report.held).every((held) => !held));
  t.is(report.problem, 'the public endpoint cannot be reached');
  t.deepEqual(report.findings, [], 'one problem is told once');
});

test('if nothing is accepted at all, refusals prove nothing', (t) => {
  const report = reportOn({ ...PERFECT, part: refused() });
  t.false(report.held.part_digest_enforced);
  t.false(report.held.part_copy_refused);
  const told = report.findings.filter(({ guarantee, weight }) => guarantee.startsWith('part_') && weight !== 'note');
  t.deepEqual(
    told.map(({ guarantee }) => guarantee),
    ['part_urls_work'],
    'one cause is told once',
  );
});

test('clocks that differ by more than a minute, or cannot be compared, do not agree', (t) => {
  const clocks = (clockSkewMs: number | null) =>
    reportOn(PERFECT, { clockSkewMs }).findings.find(({ guarantee }) => guarantee === 'clocks_agree');
  for (const skew of [0, 60_000, -60_000]) t.true(clocks(skew)?.held);
  t.regex(clocks(-1_200_000)?.says ?? '', /1200 s behind/);
  t.regex(clocks(90_000)?.says ?? '', /90 s ahead/);
  t.regex(clocks(90_000)?.advice ?? '', /NTP/);
  t.false(clocks(null)?.held);
});

test('without an upload-only key the copy hole is answered with one', (t) => {
  const trials = { ...PERFECT, copy_without_body: { status: 200, code: '', stored: 'other' as const } };
  const advice = (hasUploadKey: boolean) =>
    reportOn(trials, { hasUploadKey }).findings.find(({ guarantee }) => guarantee === 'part_copy_refused')?.advice ??
    '';
  t.regex(advice(false), /Set ARTIFACT_STORE_S3_UPLOAD_ACCESS_KEY_ID/);
  t.regex(advice(true), /remove that permission/);
});

import { isWhole, type RebuildReport } from '../../src/core/rebuild-report.ts';
import {
  areEqual,
  type DifferenceKind,
  differenceKinds,
  type RegistryDifferences,
} from '../../src/core/registry-differences.ts';
import type { Outcome } from '../command.ts';
import { EXIT } from '../errors.ts';
import { countOf, formatBytes, formatCount, formatSeconds } from '../format.ts';
import { alignLines, indented, type Line } from './lines.ts';

/** How often somebody who waits is told how far it is, ms. */
const TELL_MS = 5_000;
/** Of each kind; --json has more. */
const SHOWN = 3;

type Problem =
  | 'damaged_manifests'
  | 'without_manifest'
  | 'unreadable_decisions'
  | 'damaged_packs'
  | 'wrong_objects'
  | 'missing_blobs';

const PROBLEMS: Record<Problem, readonly [label: string, says: string]> = {
  damaged_manifests: [
    'damaged manifests',
    'their packages did not come back, and no sweep removes anything: restore them from a backup of the store, or see docs/operations.md',
  ],
  unreadable_decisions: ['unreadable decisions', 'make them again, if they still hold'],
  missing_blobs: ['missing bytes', 'no object has them: push the same files again, or restore the store'],
  without_manifest: [
    'without a manifest',
    'decisions on packages that were never finalized, or whose manifest is gone',
  ],
  damaged_packs: [
    'damaged packs',
    'their right members were found; `fixity --now` says what is wrong, `repair` mends it',
  ],
  wrong_objects: ['wrong objects', 'their bytes are not what their keys say: left alone'],
};

const DIFFERENCES: Record<DifferenceKind, readonly [label: string, says: string]> = {
  unknown_packages: ['unknown packages', 'in the store, not in the registry'],
  missing_manifests: ['missing manifests', 'in the registry, not in the store'],
  other_manifests: ['other manifests', 'the store has other bytes than were sealed'],
  other_files: ['other files', 'the registry lists other files than the manifest'],
  other_retention: ['other retention', 'the registry says otherwise than the decisions'],
  unknown_decisions: ['unknown decisions', 'in the store, not in the registry'],
  missing_decisions: ['missing decisions', 'in the registry, not in the store'],
  unreadable_decisions: ['unreadable decisions', 'this version cannot read them'],
  missing_objects: ['missing objects', 'in the registry; not in the store, or of another size'],
  found_objects: ['found objects', 'lost to the registry, and there'],
  unknown_objects: ['unknown objects', 'in the store, not in the registry'],
};

type Progress = (progress: { stage: string; report: RebuildReport }) => void;

/** Tells now and then how far a rebuild is. @param clock ms */
export function teller(tell: (text: string) => void, clock: () => number): Progress {
  let told = clock();
  return ({ stage, report }) => {
    if (clock() < told + TELL_MS) return;
    told = clock();
    const { packages, tombstones, files, objects } = report;
    const found = `${countOf(packages + tombstones, 'package')} with ${countOf(files, 'file')}`;
    const read = objects.count === 0 ? '' : `; ${countOf(objects.count, 'object')}, ${formatBytes(objects.bytes)} read`;
    tell(`rebuilding (${stage}): ${found}${read}`);
  };
}

/** What came back, in lines. @param seconds that this run took */
export function rebuildOutcome(report: RebuildReport, seconds: number): Outcome {
  const { packages, tombstones, files, decisions, objects, packs } = report;
  const lines: Line[] = [
    ['packages', `${formatCount(packages)} finalized, ${formatCount(tombstones)} deleted`],
    ['files', formatCount(files)],
    ['decisions', formatCount(decisions)],
    [
      'objects',
      `${formatCount(objects.count)}, ${formatCount(packs)} of them packs; ${formatBytes(objects.bytes)} read`,
    ],
  ];
  for (const kind of Object.keys(PROBLEMS) as Problem[]) lines.push(...named(PROBLEMS[kind], report[kind]));
  const whole = isWhole(report);
  const says = whole ? 'all that packages need is there' : 'NOT all that packages need is there';
  const head = `The registry is filled from its store in ${formatSeconds(seconds)}: ${says}.`;
  const next = 'Sweeps do not act before `sweep --reconcile`.';
  return {
    json: { ...report, whole, seconds },
    text: [`${head}\n`, ...alignLines(lines.map(indented)), `\n${next}`],
    exit: whole ? EXIT.done : EXIT.integrity,
  };
}

/** How the two differ, in lines. */
export function comparisonOutcome(differences: RegistryDifferences): Outcome {
  const { packages, decisions, objects } = differences;
  const what = `${countOf(packages, 'package')}, ${countOf(decisions, 'decision')}, ${countOf(objects, 'object')} compared`;
  const equal = areEqual(differences);
  const lines = differenceKinds(differences).flatMap((kind) => named(DIFFERENCES[kind], differences[kind]));
  return {
    json: { ...differences, equal },
    text: equal
      ? `Registry and store agree (${what}).`
      : [`Registry and store differ (${what}).\n`, ...alignLines(lines.map(indented))],
    exit: equal ? EXIT.done : EXIT.failed,
  };
}

function named([label, says]: readonly [string, string], { count, named }: RebuildReport[Problem]): Line[] {
  if (count === 0) return [];
  const shown = named.slice(0, SHOWN);
  const more = count > shown.length ? [`and ${formatCount(count - shown.length)} more`] : [];
  return [[label, `${formatCount(count)}: ${says}`, ...shown, ...more]];
}

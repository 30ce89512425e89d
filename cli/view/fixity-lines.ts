import type { Fixity, FixityRun } from '../../src/api/types.ts';
import { MEND } from '../client/mend.ts';
import type { Outcome } from '../command.ts';
import { EXIT } from '../errors.ts';
import { countOf, formatBytes, formatTime, printable } from '../format.ts';
import { alignLines, type Line } from './lines.ts';
import { workFailure } from './work-failure.ts';

type Damaged = FixityRun['damaged'];
type Item = Damaged['items'][number];

const REPAIR = `${MEND} A push of the same files as a new package does it too.`;
const REPAIR_MANIFESTS =
  'To mend manifests and attestations: `artifact-store repair --manifests` writes them again from the registry.';

/** What was read within the period, and what is damaged, in lines. */
export function fixityOutcome(state: Fixity): Outcome {
  const { period_seconds: period, bytes_per_second, seen, overdue, oldest_seen_at, damaged } = state;
  const amount = ({ objects, bytes }: Fixity['seen']): string => `${countOf(objects, 'object')}, ${formatBytes(bytes)}`;
  const lines: Line[] =
    period === null
      ? [['read again', 'only when it is asked for: ARTIFACT_STORE_FIXITY_PERIOD is off']]
      : [
          ['period', `${days(period)}, at up to ${formatBytes(bytes_per_second)}/s by each service`],
          ['read within it', amount(seen)],
          ['overdue', overdue.objects === 0 ? 'nothing' : `${amount(overdue)}: raise ARTIFACT_STORE_FIXITY_RATE`],
        ];
  if (oldest_seen_at !== null) lines.push(['not read since', `${formatTime(oldest_seen_at)} (the oldest)`]);
  lines.push(['damaged', damaged.items.length === 0 ? 'nothing' : count(damaged)]);
  return {
    json: state,
    text: [...alignLines(lines), ...damageLines(damaged).map((line) => `\n${line}`)],
    exit: damaged.items.some(needsBytes) ? EXIT.integrity : EXIT.done,
  };
}

/** What a reading found, in lines. @throws CliError when it failed */
export function fixityRunOutcome(run: FixityRun): Outcome {
  const { id, state, report, damaged } = run;
  if (state !== 'done') throw workFailure('Fixity', run, 'what it has found stays known');
  const bad = report.newly > 0 || damaged.items.some(needsBytes);
  const found =
    report.damaged + report.missing === 0
      ? damaged.items.length === 0
        ? 'all as they were stored'
        : 'what was read is as it was stored'
      : `${countOf(report.damaged, 'object')} damaged, ${report.missing} missing`;
  const unread =
    report.unread === 0
      ? ''
      : `; ${countOf(report.unread, 'object')} could not be read, which says nothing of them: run it again`;
  const head = `Fixity ${printable(id)}: ${countOf(report.objects, 'object')} read, ${formatBytes(report.bytes)}: ${found}${unread}.`;
  return {
    json: run,
    text: [head, ...damageLines(damaged).map((line) => `\n${line}`)],
    exit: bad ? EXIT.integrity : report.unread > 0 ? EXIT.failed : EXIT.done,
  };
}

/** Of what no registry has seen that knows it now: one that was rebuilt. */
function seenGood(at: string | null): string {
  return at === null || Date.parse(at) === 0
    ? 'not seen since the registry was rebuilt'
    : `last seen good ${formatTime(at)}`;
}

/** Nothing else has its bytes. */
export function needsBytes({ copies }: Item): boolean {
  return copies === 0;
}

function count({ items, more }: Damaged): string {
  const open = items.filter(needsBytes).length;
  const all = `${countOf(items.length, 'file')}${more ? ' or more' : ''}`;
  return `${all}, ${open} of them without another copy`;
}

const SAYS: Record<Item['bytes'], string> = {
  wrong: 'its bytes are wrong',
  missing: 'its bytes are not in storage',
  right: 'can be read, but is damaged around its bytes',
};

/** What is damaged, a file in each line, and how to mend it. */
export function damageLines({ items, more }: Damaged): string[] {
  if (items.length === 0) return [];
  const lines = items.map((item) => {
    const { package_id, path, kind, bytes, copies, last_good_at } = item;
    const named = path ?? `its ${kind}`;
    const others = copies === 0 ? 'no other copy' : `${countOf(copies, 'other copy', 'other copies')}, read from there`;
    return printable(`  ${package_id}  ${named}: ${SAYS[bytes]}; ${seenGood(last_good_at)}; ${others}`);
  });
  const open = items.filter(needsBytes);
  return [
    ...lines,
    ...(more ? ['  … and more'] : []),
    ...(open.some(({ path }) => path !== null) ? [REPAIR] : []),
    ...(open.some(({ path }) => path === null) ? [REPAIR_MANIFESTS] : []),
  ];
}

function days(seconds: number): string {
  return seconds < 86_400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 8_640) / 10} days`;
}

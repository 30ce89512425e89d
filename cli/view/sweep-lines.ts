import type { Sweep } from '../../src/api/types.ts';
import type { Outcome } from '../command.ts';
import { CliError, EXIT } from '../errors.ts';
import { countOf, formatBytes, printable } from '../format.ts';
import { alignLines, indented, type Line } from './lines.ts';
import { workFailure } from './work-failure.ts';

type Report = Sweep['report'];
type Kind = Exclude<keyof Report, 'unknown_packages' | 'requests' | 'freed'>;

/** What is said of each kind: when the sweep acted, and when it only listed. */
const SAYS: Record<Kind, readonly [label: string, acted: string, listed: string]> = {
  unneeded: ['not needed', 'condemned now', '--apply condemns them'],
  sparse: ['sparse packs', 'written anew', '--apply writes them anew'],
  rewritten: ['written anew', 'in their place', 'in their place'],
  waiting: ['condemned', 'their grace is not over', 'their grace is not over'],
  locked: ['locked in storage', 'removed when that ends', 'removed when that ends'],
  due: ['grace over', 'removed', '--apply removes them'],
  leftovers: ['leftovers of uploads', 'removed', '--apply removes them'],
  unknown: ['unknown', 'removed', '--apply removes them'],
  unknown_kept: ['unknown, kept', 'a file may need them', 'a file may need them'],
  young: ['too young to judge', 'looked at next time', 'looked at next time'],
  missing: ['missing', 'not in storage: push or restore them', 'not in storage: push or restore them'],
  unfinished_uploads: ['unfinished uploads', 'aborted', '--apply aborts them'],
  unfinished_kept: ['unfinished, kept', 'storage may have completed them', 'storage may have completed them'],
  spool: ['old spool files', 'removed', '--apply removes them'],
};
const NOUNS: Partial<Record<Kind, string>> = {
  unfinished_uploads: 'upload',
  unfinished_kept: 'upload',
  spool: 'file',
};
const WITHOUT_BYTES: readonly Kind[] = ['unfinished_uploads', 'unfinished_kept'];

/** What a sweep found and did, in lines. @throws CliError when it failed */
export function sweepOutcome(sweep: Sweep): Outcome {
  const { id, state, apply, report } = sweep;
  if (state !== 'done') throw failureOf(sweep);
  const kinds = (Object.keys(SAYS) as Kind[]).filter((kind) => report[kind].count > 0);
  const lines = kinds.map((kind): Line => {
    const [label, acted, listed] = SAYS[kind];
    const { count, bytes } = report[kind];
    const size = WITHOUT_BYTES.includes(kind) ? '' : `, ${formatBytes(bytes)}`;
    return [label, `${countOf(count, NOUNS[kind] ?? 'object')}${size}: ${apply ? acted : listed}`];
  });
  if (report.unknown_packages.length > 0) {
    const [first, ...more] = report.unknown_packages;
    const others = more.length === 0 ? '' : ` and ${more.length} more`;
    lines.push(['only in the store', `of ${first}${others}: the registry is older than the store`]);
  }
  const summary = apply ? `${formatBytes(report.freed.bytes)} freed` : 'nothing was changed';
  const head = `Sweep ${printable(id)}: ${kinds.length === 0 ? 'nothing to free' : summary} (${countOf(report.requests, 'request')} to storage).`;
  return { json: sweep, text: lines.length === 0 ? head : [`${head}\n`, ...alignLines(lines.map(indented))] };
}

function failureOf(sweep: Sweep): CliError {
  const { error } = sweep;
  if (error?.code === 'registry_older' || error?.code === 'foreign_store') {
    return new CliError(printable(error.detail), { exit: EXIT.refused, code: error.code });
  }
  return workFailure('Sweep', sweep, 'what it has done stays done');
}

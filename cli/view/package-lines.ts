import type { Hold, Package } from '../../src/api/types.ts';
import type { JsonObject } from '../../src/core/canonical-json.ts';
import { sayExpiry } from '../../src/core/expiry-text.ts';
import { asObject } from '../../src/core/json-fields.ts';
import { LEFT_OUT_MEMBER } from '../client/tree/left-out.ts';
import { countOf, formatBytes, formatTime, printable } from '../format.ts';
import { PRODUCER } from '../guide-board/describe-run.ts';
import { guideBoardLines, metadataLines } from './guide-board-lines.ts';
import type { Line } from './lines.ts';
import { secretLines } from './secret-lines.ts';

/** What a person wants to know of a package, in the order in which they want to know it. */
export function packageLines(pkg: Package, holds: readonly Hold[], url: string, now: number): Line[] {
  const metadata = pkg.metadata as JsonObject;
  return [
    ['id', pkg.id],
    ['status', pkg.reason === null ? pkg.status : `${pkg.status}: ${pkg.reason}`],
    ['producer', pkg.producer],
    ...optional('subject', pkg.subject),
    ...optional('external id', pkg.external_id),
    ['created', formatTime(pkg.created_at)],
    ...optional('finalized', pkg.finalized_at === null ? null : formatTime(pkg.finalized_at)),
    ...optional('deleted', pkg.deleted_at === null ? null : formatTime(pkg.deleted_at)),
    ['files', filesText(pkg)],
    ...leftOutLines(metadata),
    ...secretLines(metadata),
    ...optional('manifest', pkg.manifest_digest),
    ...optional('supersedes', pkg.supersedes),
    ...optional('superseded by', pkg.superseded_by),
    ['retention', retentionText(pkg, now)],
    ...fileRuleLines(pkg.file_rules ?? []),
    ['holds', ...holdTexts(holds)],
    ['link', url],
    ...(pkg.producer === PRODUCER ? guideBoardLines(metadata) : metadataLines(metadata)),
  ];
}

function filesText({ file_count, total_size, stored_size, deleted_file_count }: Package): string {
  const gone = deleted_file_count === 0 ? '' : ` (${countOf(deleted_file_count, 'of them', 'of them')} removed since)`;
  const text = `${countOf(file_count, 'file')}, ${formatBytes(total_size)}${gone}`;
  return stored_size === null ? text : `${text}; stored in ${formatBytes(stored_size)}`;
}

export function retentionText(pkg: Package, now: number): string {
  const { class: name, expires_at, eligible } = pkg.retention;
  const expiry = sayExpiry(expires_at, now);
  if (expires_at === null) return `${name}, kept forever`;
  if (Date.parse(expires_at) > now) return `${name}, expires ${expiry}`;
  return `${name}, expired ${expiry}${eligible ? ': may be deleted' : ''}`;
}

/** Holds that nobody has released. */
export function activeHolds(holds: readonly Hold[]): Hold[] {
  return holds.filter((hold) => hold.released_at === null);
}

export function holdTexts(holds: readonly Hold[]): [string, ...string[]] {
  const [first, ...rest] = holds.map((hold) => {
    const reference = hold.reference === null ? '' : ` (${hold.reference})`;
    return `${hold.id}: ${hold.reason}${reference}, by ${hold.placed_by} since ${formatTime(hold.placed_at)}`;
  });
  return first === undefined ? ['none'] : [first, ...rest];
}

function fileRuleLines(rules: ReadonlyArray<{ path: string; days: number }>): Line[] {
  const [first, ...rest] = rules.map(({ path, days }) => `${countOf(days, 'day')}: ${printable(path)}`);
  return first === undefined ? [] : [['file rules', first, ...rest]];
}

/** What the push left out of its directory, if it did. */
function leftOutLines(metadata: JsonObject): Line[] {
  const leftOut = asObject(metadata[LEFT_OUT_MEMBER]);
  if (leftOut === null) return [];
  const by = Object.entries(asObject(leftOut.by) ?? {}).filter(([, count]) => count !== 0);
  const counts = by.map(([kind, count]) => `${kind} ${String(count)}`).join(', ');
  return [['left out', `${String(leftOut.count)} of the directory (${counts}); metadata.${LEFT_OUT_MEMBER} has more`]];
}

function optional(label: string, text: string | null): Line[] {
  return text === null ? [] : [[label, text]];
}

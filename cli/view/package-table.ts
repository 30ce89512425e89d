import type { EligibleList, Package } from '../../src/api/types.ts';
import { formatBytes, formatCount, printable, table } from '../format.ts';

const NAME_MAX = 40;

export function packageTable(packages: readonly Package[]): string {
  if (packages.length === 0) return 'No packages.';
  const rows = packages.map((pkg) => [
    pkg.id,
    pkg.status,
    short(pkg.producer),
    short(pkg.name),
    short(pkg.subject ?? '–'),
    formatCount(pkg.file_count),
    formatBytes(pkg.total_size),
    day(pkg.created_at),
    `${day(pkg.retention.expires_at)}${pkg.retention.held ? ' (held)' : ''}`,
  ]);
  const head = ['PACKAGE', 'STATUS', 'PRODUCER', 'NAME', 'SUBJECT', 'FILES', 'SIZE', 'CREATED', 'EXPIRES'];
  return table([head, ...rows], [5, 6]);
}

export function eligibleTable(packages: EligibleList['items']): string {
  if (packages.length === 0) return 'No package can be deleted now, and no file of one.';
  const rows = packages.map((pkg) => [
    pkg.package_id,
    pkg.status,
    short(pkg.producer),
    short(pkg.name),
    pkg.retention_class,
    pkg.files ? formatCount(pkg.files.count) : 'all',
    formatBytes(pkg.files?.bytes ?? pkg.total_size),
    day(pkg.expires_at),
  ]);
  return table([['PACKAGE', 'STATUS', 'PRODUCER', 'NAME', 'CLASS', 'FILES', 'SIZE', 'EXPIRED'], ...rows], [5, 6]);
}

function short(text: string): string {
  const shown = printable(text);
  return shown.length <= NAME_MAX ? shown : `${shown.slice(0, NAME_MAX - 1)}…`;
}

function day(time: string | null): string {
  return time === null ? 'never' : time.slice(0, 10);
}

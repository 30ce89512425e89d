import type { QuotaList } from '../../src/api/types.ts';
import { formatBytes, formatCount, table } from '../format.ts';

export function quotaTable(items: QuotaList['items']): string {
  if (items.length === 0) return 'No producer has packages.';
  const rows = items.map((item) => {
    const left = item.quota_bytes === null ? null : item.quota_bytes - item.used_bytes - item.reserved_bytes;
    return [
      item.producer,
      formatBytes(item.used_bytes),
      formatBytes(item.reserved_bytes),
      item.quota_bytes === null ? 'none' : formatBytes(item.quota_bytes),
      left === null ? '–' : formatBytes(Math.max(0, left)),
      `${formatCount(item.open_packages)} of ${formatCount(item.open_packages_max)}`,
    ];
  });
  return table([['PRODUCER', 'USED', 'RESERVED', 'QUOTA', 'LEFT', 'OPEN PACKAGES'], ...rows], [1, 2, 3, 4, 5]);
}

import type { FileDeletion } from '../../src/api/types.ts';
import { countOf, formatBytes } from '../format.ts';

export function removalText({ package_id, files, bytes, already_deleted }: FileDeletion): string {
  const before = already_deleted === 0 ? '' : `${countOf(already_deleted, 'file')} had been removed before`;
  if (files === 0) return `Nothing was removed from ${package_id}: ${before || 'nothing matches'}.`;
  const are = files === 1 ? 'is' : 'are';
  return `${countOf(files, 'file')}, ${formatBytes(bytes)}, ${are} removed from ${package_id}${before && `; ${before}`}. The manifest stays; a sweep frees what nothing else needs.`;
}

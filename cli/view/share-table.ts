import type { Share } from '../../src/api/types.ts';
import { formatTime, table } from '../format.ts';

/** Newest first, as they come. */
export function shareTable(shares: readonly Share[]): string {
  if (shares.length === 0) return 'No shares.';
  return table([['SHARE', 'STATE', 'EXPIRES', 'MADE BY', 'SHOWS', 'NOTE'], ...shares.map(rowOf)]);
}

function rowOf({ id, state, expires_at, created_by, path, note }: Share): string[] {
  return [id, state, formatTime(expires_at), created_by, path ?? 'all files', note ?? ''];
}

import type { Token } from '../../src/api/types.ts';
import { formatTime, table } from '../format.ts';

/** Newest first, as they come. */
export function tokenTable(tokens: readonly Token[]): string {
  if (tokens.length === 0) return 'No tokens.';
  return table([['TOKEN', 'STATE', 'SCOPES', 'PRODUCERS', 'EXPIRES', 'LAST USED', 'NAME'], ...tokens.map(rowOf)]);
}

function rowOf({ id, state, scopes, producers, expires_at, last_used_at, name }: Token): string[] {
  return [
    id,
    state,
    scopes.join(' '),
    producers === null ? 'all' : producers.join(', '),
    formatTime(expires_at),
    formatTime(last_used_at),
    name,
  ];
}

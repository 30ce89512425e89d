import { DAY_MS } from '../../src/core/retention.ts';
import { countOf, formatTime } from '../format.ts';

/** `in 89 days, on 2027-02-21`: whole days that are left, never rounded up. Null: `never`. */
export function sayExpiry(expiresAt: string | null, now: number): string {
  if (expiresAt === null) return 'never';
  const left = Date.parse(expiresAt) - now;
  const days = Math.floor(Math.abs(left) / DAY_MS);
  if (days === 0) {
    return `${left >= 0 ? 'within a day' : 'less than a day ago'}, at ${formatTime(expiresAt)}`;
  }
  const distance = countOf(days, 'day');
  return `${left >= 0 ? `in ${distance}` : `${distance} ago`}, on ${expiresAt.slice(0, 10)}`;
}

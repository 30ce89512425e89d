import { countOf, formatTime } from './format.ts';
import { DAY_MS } from './retention.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Nearer than this, hours say more than dates. */
const NEAR_MS = 2 * DAY_MS;

/**
 * `in 90 days, on 2027-02-25`: the days that lie between the two dates in UTC, so that today and the distance give the date
 * that is said; near the end `in 20 hours, at 2026-11-28 20:00 UTC`, to the nearest. Null: `never`.
 */
export function sayExpiry(expiresAt: string | null, now: number): string {
  if (expiresAt === null) return 'never';
  const at = Date.parse(expiresAt);
  const left = at - now;
  if (Math.abs(left) < NEAR_MS) return `${direct(left, sayNear(Math.abs(left)))}, at ${formatTime(expiresAt)}`;
  const days = Math.abs(dayOf(at) - dayOf(now));
  return `${direct(left, countOf(days, 'day'))}, on ${new Date(at).toISOString().slice(0, 10)}`;
}

function sayNear(distance: number): string {
  const minutes = Math.round(distance / MINUTE_MS);
  if (minutes === 0) return 'less than a minute';
  return minutes < 60 ? countOf(minutes, 'minute') : countOf(Math.round(distance / HOUR_MS), 'hour');
}

function direct(left: number, distance: string): string {
  return left >= 0 ? `in ${distance}` : `${distance} ago`;
}

function dayOf(time: number): number {
  return Math.floor(time / DAY_MS);
}

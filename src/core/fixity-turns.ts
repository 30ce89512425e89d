/**
 * When an object is read again. Its turn is the time of its last reading; one that is taken, or could not be read, gets a later one, as if
 * it had been read then. So one order is enough to find the oldest, whatever the period is.
 */

/** A turn comes so early that there is time to read everything before the period is over. */
const EARLY = 0.25;
const NEVER_MS = 100 * 365 * 86_400_000;
/** A reading may take longer than its bytes at its rate, ms. */
const LEASE_MIN_MS = 600_000;
/** However large an object is, ms. */
const LEASE_MAX_MS = 7 * 86_400_000;

/** Turns until then have come. @param period ms; null: none comes by itself */
export function turnBefore(period: number | null, now: number): number {
  return now - (period === null ? NEVER_MS : period * (1 - EARLY));
}

/** Turns until then are of all objects that may be overdue, whoever has taken them. */
export function checkReach(period: number, now: number): number {
  return turnBefore(period, now) + LEASE_MAX_MS;
}

/** For how long so many bytes are taken. @param rate bytes per second @returns ms */
export function leaseFor(bytes: number, rate: number): number {
  return Math.min(LEASE_MAX_MS, LEASE_MIN_MS + Math.ceil((bytes / rate) * 1_000));
}

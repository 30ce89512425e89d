/** How storage locks objects: `governance`, against all but those with a right of their own to lift it; `compliance`, against everybody. */
export const LOCK_MODES = ['governance', 'compliance'] as const;
export type LockMode = (typeof LOCK_MODES)[number];

/** What storage says of an object's lock. */
export interface ObjectLock {
  /** ms; null: it has no retention. */
  until: number | null;
  mode: LockMode | null;
  held: boolean;
}

/** What packages want of the objects that they need. */
export interface WantedLock {
  /** The latest expiry of those that have one and that is to come, ms; null: none. */
  until: number | null;
  /** One of them is held, or is never to end. */
  held: boolean;
}

export function isLocked({ until, held }: Pick<ObjectLock, 'until' | 'held'>, now: number): boolean {
  return held || (until !== null && until > now);
}

interface Facts {
  status: string;
  expires_at: number | null;
  active_holds: number;
}

/** What a package wants of its objects. Only a finalized one: what is not sealed is not preserved yet, and may be given up. */
export function wantedLock({ status, expires_at, active_holds }: Facts, now: number): WantedLock {
  if (status !== 'finalized') return { until: null, held: false };
  const until = expires_at !== null && expires_at > now ? expires_at : null;
  return { until, held: active_holds > 0 || expires_at === null };
}

/** Storage may have times in whole seconds. */
const PRECISION_MS = 1_000;

/** Whether an object is locked less than the registry says. @param seen null: there is no such object */
export function isWeaker(seen: ObjectLock | null, told: Pick<ObjectLock, 'until' | 'held'>, now: number): boolean {
  if (seen === null) return true;
  if (told.held && !seen.held) return true;
  return told.until !== null && told.until > now && (seen.until ?? 0) < told.until - PRECISION_MS;
}

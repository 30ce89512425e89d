import { StoreError } from './errors.ts';
import type { PackageStatus } from './package-state.ts';
import { TIME_MAX } from './time.ts';

/**
 * How long a package must be kept. All times are milliseconds since 1970 in UTC; a null expiry means never. Nothing is
 * ever deleted because time passed: an expired package that nobody holds is only eligible.
 */
export const DAY_MS = 86_400_000;

/** How long some files of a package must be kept, less long than the package: see core/file-rules.ts. */
export interface FileRule {
  /** A glob: see core/glob.ts. */
  path: string;
  /** Counted from `finalized_at`. */
  days: number;
}

/** Days, null for never; with rules for some of the files. */
export type RetentionClass = number | null | { days: number | null; files: readonly FileRule[] };
export type RetentionClasses = Readonly<Record<string, RetentionClass>>;

export function classOf(value: RetentionClass): { days: number | null; files: readonly FileRule[] } {
  return typeof value === 'object' && value !== null ? value : { days: value, files: [] };
}

export const DEFAULT_RETENTION_CLASSES: Readonly<Record<string, number | null>> = {
  transient: 7,
  'raw-evidence': 90,
  'summary-evidence': 365,
  'release-evidence': 1825,
  'permanent-record': null,
};

export const DEFAULT_RETENTION_CLASS = 'raw-evidence';

export function daysAfter(time: number, days: number | null): number | null {
  return days === null ? null : Math.min(time + days * DAY_MS, TIME_MAX);
}

/** The later of two expiries; never is later than any. */
export function laterExpiry(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.max(a, b);
}

/** At finalize: the later of what stands and `finalized_at` + the class's days. Never shortens. */
export function expiryAtFinalize(current: number | null, finalizedAt: number, days: number | null): number | null {
  return laterExpiry(current, daysAfter(finalizedAt, days));
}

/** `days` counts from the current expiry, not from today. */
export type Extension = { expires_at: number } | { days: number };

/** @throws StoreError never_expires, not_later */
export function extendExpiry(current: number | null, extension: Extension, now: number): number {
  if (current === null) {
    throw new StoreError('never_expires', 'The package never expires: there is nothing to extend.');
  }
  const next = 'days' in extension ? (daysAfter(current, extension.days) as number) : extension.expires_at;
  if (next <= current) {
    throw new StoreError('not_later', `The package expires at ${iso(current)}: ${iso(next)} is not later.`);
  }
  if (next <= now) {
    throw new StoreError('not_later', `${iso(next)} is in the past: it is ${iso(now)} now.`);
  }
  if (next > TIME_MAX) throw new StoreError('not_later', `${next} is beyond the year 9999.`);
  return next;
}

export interface RetentionFacts {
  status: PackageStatus;
  expires_at: number | null;
  /** Holds that nobody has released. */
  active_holds: number;
}

export type EligibilityReason = 'expired' | 'retention_active' | 'never_expires' | 'held' | 'deleted';

/** May the package be deleted because its time is over? A hold wins over everything. */
export function eligibility(facts: RetentionFacts, now: number): { eligible: boolean; reason: EligibilityReason } {
  if (facts.status === 'deleted') return { eligible: false, reason: 'deleted' };
  if (facts.active_holds > 0) return { eligible: false, reason: 'held' };
  if (facts.expires_at === null) return { eligible: false, reason: 'never_expires' };
  if (facts.expires_at > now) return { eligible: false, reason: 'retention_active' };
  return { eligible: true, reason: 'expired' };
}

/**
 * May this package be deleted now? Finalized packages only when eligible, others whenever nobody holds them.
 * @throws StoreError held, retention_active
 */
export function assertDeletable(
  facts: RetentionFacts,
  holds: ReadonlyArray<{ id: string; reason: string }>,
  now: number,
): void {
  const first = holds[0];
  if (first !== undefined) {
    throw new StoreError('held', `Hold ${first.id} blocks the deletion (${first.reason}): release it first.`, {
      holds: holds.map((hold) => ({ id: hold.id, reason: hold.reason })),
    });
  }
  if (facts.status !== 'finalized') return;
  const { eligible } = eligibility(facts, now);
  if (eligible) return;
  if (facts.expires_at === null) {
    throw new StoreError('retention_active', 'The package is kept forever: its retention class never expires.', {
      expires_at: null,
    });
  }
  throw new StoreError('retention_active', `The package must be kept until ${iso(facts.expires_at)}.`, {
    expires_at: iso(facts.expires_at),
  });
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

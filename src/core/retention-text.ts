import { sayExpiry } from './expiry-text.ts';
import { countOf } from './format.ts';
import type { EligibilityReason, RetentionFacts } from './retention.ts';
import { eligibility } from './retention.ts';

/** What is decided of a package. */
export const DECISIONS: Record<EligibilityReason, string> = {
  expired: 'can be deleted: it has expired and has no hold',
  retention_active: 'must be kept: it has not expired',
  never_expires: 'must be kept forever',
  held: 'must be kept: a hold blocks the deletion',
  deleted: 'was deleted',
};

/** The same with what it follows from, in one line for people. @param now ms */
export function sayRetention(pkg: RetentionFacts & { retention_class: string }, now: number): string {
  const { expires_at, active_holds, retention_class } = pkg;
  const { reason } = eligibility(pkg, now);
  if (reason === 'deleted') return 'It was deleted; what is said of it here is kept.';
  if (reason === 'never_expires') return `It must be kept forever (class ${retention_class}); nobody holds it.`;
  const expiry = sayExpiry(expires_at === null ? null : new Date(expires_at).toISOString(), now);
  if (reason === 'held') {
    const then = expires_at === null ? 'it never expires' : `it ${expires_at > now ? 'expires' : 'expired'} ${expiry}`;
    return `It must be kept: ${countOf(active_holds, 'hold blocks', 'holds block')} the deletion. Without, ${then} (class ${retention_class}).`;
  }
  if (reason === 'retention_active') {
    return `It must be kept: it expires ${expiry} (class ${retention_class}); nobody holds it.`;
  }
  return `It can be deleted: it expired ${expiry} (class ${retention_class}), and nobody holds it. Nothing is deleted by itself.`;
}

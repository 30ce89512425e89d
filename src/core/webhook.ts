import { AUDIT_ACTIONS, type AuditAction } from './audit-actions.ts';

/** How an event is written for a receiver. */
export const WEBHOOK_FORMATS = ['cloudevents', 'statehub'] as const;
export type WebhookFormat = (typeof WEBHOOK_FORMATS)[number];

/** Of the store, and of those that one actor has made. */
export const WEBHOOKS_MAX = 200;
export const WEBHOOKS_PER_ACTOR_MAX = 20;
export const WEBHOOK_URL_MAX = 2_048;

/** An action, or a group of them: `package.*`. */
export const EVENT_TYPE_PATTERN = /^[a-z]+\.(?:\*|[a-z_]+)$/;

/** The actions that these name, each an action or a group; of what a later version will add a group has it, too. */
export function actionsOf(types: readonly string[]): AuditAction[] {
  return AUDIT_ACTIONS.filter((action) => types.some((type) => names(type, action)));
}

/** Those that name nothing. */
export function unknownTypes(types: readonly string[]): string[] {
  return types.filter((type) => !AUDIT_ACTIONS.some((action) => names(type, action)));
}

function names(type: string, action: AuditAction): boolean {
  return type.endsWith('.*') ? action.startsWith(type.slice(0, -1)) : action === type;
}

/** Events of one stream are sent in their order: those of a package, or of an object, an upload, a token that is of none. */
export function streamOf(event: { package_id: string | null; subject_id: string | null }): string {
  return event.package_id ?? event.subject_id ?? '';
}

/** Between the failures of an event and its next attempt, s: about two days in all, after which it is dead. */
const PAUSES_S = [5, 20, 80, 320, 1_280, 5_120, 20_480, 43_200, 43_200, 43_200];
/** How much earlier or later an attempt may come, so that what failed at once does not come at once again. */
const JITTER = 0.2;
const PAUSE_MAX_S = 43_200;

/**
 * How long to wait after so many failures, ms; null: no more, the event is dead.
 * @param chance from 0 to 1 @param asked what the receiver asks for, s; it may ask for up to twelve hours
 */
export function pauseAfter(failures: number, chance: number, asked: number | null = null): number | null {
  const pause = PAUSES_S[failures - 1];
  if (pause === undefined) return null;
  const spread = pause * (1 - JITTER + 2 * JITTER * chance);
  return Math.round(Math.max(spread, Math.min(asked ?? 0, PAUSE_MAX_S)) * 1_000);
}

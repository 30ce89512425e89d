import { z } from 'zod';
import { PACKAGE_STATUSES } from '../core/package-state.ts';
import { TEXT_MAX } from '../core/text-problem.ts';
import { list, reason, size, text, time } from './fields.ts';

export const RetentionClassList = z.object({
  items: z.array(
    z.object({ name: z.string(), days: z.int().nullable().describe('null: never'), default: z.boolean() }),
  ),
});

export const EligibleList = list(
  z.object({
    package_id: z.string(),
    name: z.string(),
    producer: z.string(),
    status: z.enum(PACKAGE_STATUSES),
    retention_class: z.string(),
    expires_at: time,
    reason: z.string(),
    total_size: size,
  }),
);

export const Hold = z.object({
  id: z.string(),
  reason: z.string(),
  reference: z.string().nullable(),
  placed_by: z.string(),
  placed_at: time,
  released_by: z.string().nullable(),
  released_at: time.nullable(),
  release_reason: z.string().nullable(),
});

export const RetentionEvent = z.object({
  id: z.string(),
  action: z.string(),
  at: time,
  actor: z.string(),
  reason: z.string().nullable(),
  expires_before: time.nullable(),
  expires_after: time.nullable(),
});

export const Retention = z.object({
  package_id: z.string(),
  class: z.string(),
  expires_at: time.nullable(),
  held: z.boolean(),
  eligible: z.boolean(),
  reason: z.enum(['expired', 'retention_active', 'never_expires', 'held', 'deleted']),
  holds: z.array(Hold),
  events: z.array(RetentionEvent),
});

export const Extend = z
  .strictObject({
    expires_at: time.optional(),
    days: z.int().min(1).max(36_500).optional().describe('counted from the current expiry'),
    reason,
  })
  .refine((body) => (body.expires_at === undefined) !== (body.days === undefined), {
    message: 'give either expires_at or days',
    path: ['expires_at'],
  });

export const PlaceHold = z.strictObject({ reason, reference: text(TEXT_MAX.reference).optional() });

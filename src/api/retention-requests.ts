import * as z from 'zod/mini';
import { TEXT_MAX } from '../core/text-problem.ts';
import { time } from './fields.ts';
import { Page, reason, text } from './request-fields.ts';

export const Extend = z
  .strictObject({
    expires_at: z.optional(time),
    days: z
      .optional(z.int().check(z.minimum(1), z.maximum(36_500)))
      .check(z.describe('counted from the current expiry')),
    reason,
  })
  .check(
    z.refine((body) => (body.expires_at === undefined) !== (body.days === undefined), {
      message: 'give either expires_at or days',
      path: ['expires_at'],
    }),
  );

export const PlaceHold = z.strictObject({ reason, reference: z.optional(text(TEXT_MAX.reference)) });

export const ListAudit = z.strictObject({
  ...Page,
  package_id: z.optional(z.string()),
  action: z.optional(z.string()),
  actor: z.optional(z.string()),
  after: z.optional(time),
});

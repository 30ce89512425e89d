import * as z from 'zod/mini';
import { TEXT_MAX } from '../core/text-problem.ts';
import { EVENT_TYPE_PATTERN, WEBHOOK_FORMATS, WEBHOOK_URL_MAX } from '../core/webhook.ts';
import { many, Page, reason, text } from './request-fields.ts';

const TYPES_MAX = 30;
const PRODUCERS_MAX = 50;
/** So many that they fit into a body of a few fields. */
const REPLAYED_MAX = 50;

const type = z
  .string()
  .check(z.maxLength(64), z.regex(EVENT_TYPE_PATTERN, 'must be an action of the audit, or a group as in package.*'));

export const CreateWebhook = z.strictObject({
  url: text(WEBHOOK_URL_MAX).check(z.refine((value) => URL.canParse(value), 'must be a URL')),
  format: z._default(z.enum(WEBHOOK_FORMATS), 'cloudevents'),
  description: z.optional(text(TEXT_MAX.description)),
  types: z
    .optional(many(type, TYPES_MAX, 1))
    .check(z.describe('actions of the audit, and groups as in package.*; left out: all')),
  producers: z
    .optional(many(text(TEXT_MAX.producer), PRODUCERS_MAX, 1))
    .check(z.describe('whose packages; left out: those that the caller may read')),
});

export const ListWebhooks = z.strictObject(Page);
export const RemoveWebhook = z.optional(z.strictObject({ reason: z.optional(reason) }));

export const ListDeliveries = z.extend(z.strictObject(Page), { state: z.optional(z.enum(['waiting', 'dead'])) });

export const ReplayWebhook = z.optional(
  z.strictObject({
    events: z
      .optional(many(z.string().check(z.regex(/^evt_[0-9a-f]{32}$/, 'must be the id of an event')), REPLAYED_MAX, 1))
      .check(z.describe('left out: all that are dead')),
  }),
);

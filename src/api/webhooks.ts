import * as z from 'zod/mini';
import { WEBHOOK_FORMATS } from '../core/webhook.ts';
import { list, size, time } from './fields.ts';

/** A webhook, without its secret. */
export const Webhook = z.object({
  id: z.string(),
  url: z.string(),
  format: z.enum(WEBHOOK_FORMATS),
  description: z.nullable(z.string()),
  types: z
    .nullable(z.array(z.string()))
    .check(z.describe('actions of the audit, and groups as in package.*; null: all')),
  producers: z.nullable(z.array(z.string())).check(z.describe("whose packages' events it is sent; null: all events")),
  state: z
    .enum(['active', 'failing', 'stopped'])
    .check(z.describe('failing: events wait for another attempt; stopped: the token that made it was revoked')),
  created_at: time,
  created_by: z.string(),
  stopped_at: z.nullable(time),
  waiting: size.check(z.describe('events that it did not take, and that are tried again')),
  dead: size.check(z.describe('events that it did not take, and that are tried no more, until a replay')),
  failures: size.check(z.describe('attempts that have failed since it took something')),
  delivered_at: z.nullable(time).check(z.describe('when it last took something')),
  failed_at: z.nullable(time),
  failure: z.nullable(z.string()).check(z.describe('why the last attempt that failed did')),
  previous_secret_until: z.nullable(time).check(z.describe('so long the secret before the last rotation signs, too')),
});

export const NewWebhook = z.extend(Webhook, {
  secret: z.string().check(z.describe('what signs, as Standard Webhooks writes it; shown this once')),
});

export const WebhookList = list(Webhook);

export const WebhookTest = z.object({
  delivered: z.boolean(),
  status: z.nullable(z.int()).check(z.describe('of the answer; null: there was none')),
  failure: z.nullable(z.string()),
});

export const Delivery = z.object({
  event_id: z.string(),
  type: z.string(),
  package_id: z.nullable(z.string()),
  state: z.enum(['waiting', 'dead']),
  attempts: size,
  next_at: z.nullable(time).check(z.describe('null: it is dead, or an earlier event of its package comes first')),
  failed_at: z.nullable(time),
  failure: z.nullable(z.string()),
});
export const DeliveryList = list(Delivery);

export const Replayed = z.object({ replayed: size });

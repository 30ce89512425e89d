import * as z from 'zod/mini';
import { Delivery, NewWebhook, Replayed, Webhook, WebhookTest } from '../../../../src/api/webhooks.ts';
import { document, id, KIB, page } from './answer.ts';

const Checked = z.extend(Webhook, { id });

/** A URL, a description, and fifty producers, each character of which JSON may write as six. */
export const webhooks = page(Checked, 160 * KIB);
export const webhook = document(Checked);
export const newWebhook = document(
  // It is put into a receiver's settings: nothing else may come there.
  z.extend(NewWebhook, { id, secret: z.string().check(z.regex(/^whsec_[\w+/=]{1,200}$/, 'is not a secret')) }),
);
export const webhookTest = document(WebhookTest);
export const deliveries = page(Delivery, 4 * KIB);
export const replayed = document(Replayed);

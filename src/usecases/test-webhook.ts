import type { WebhookId } from '../core/ids.ts';
import { sendTest } from './send-webhook.ts';
import type { Sent } from './sent.ts';
import type { Caller, Services } from './services.ts';
import { readWebhook } from './webhooks.ts';

/** Sends something that is no event, whatever waits for it. @throws StoreError webhook_not_found */
export async function testWebhook(services: Services, caller: Caller, id: WebhookId): Promise<Sent> {
  return sendTest(services, await readWebhook(services.registry.read, caller, id));
}

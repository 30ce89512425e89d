import type { WebhookId } from '../core/ids.ts';
import { deliverWebhook, WAITING_MAX } from './deliver-webhook.ts';
import type { Services } from './services.ts';

/**
 * Begins to send wherever there is something to send and nobody does. It waits for none of them: a receiver that is slow holds up no other.
 * @param sending for whom this process does, whatever a clock that was set says of its leases
 */
export async function beginDeliveries(services: Services, sending: Set<WebhookId>): Promise<void> {
  const { read } = services.registry;
  if (!(await read.webhooks.any())) return;
  const last = await read.audit.lastComplete();
  const due = await read.webhooks.listDue(last, await read.now(), WAITING_MAX);
  for (const id of due) {
    if (sending.has(id)) continue;
    sending.add(id);
    services.inBackground('webhook', id, (signal) =>
      deliverWebhook(services, id, signal).finally(() => sending.delete(id)),
    );
  }
}

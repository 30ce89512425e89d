import type * as wire from '../../../src/api/types.ts';
import type { JsonCalls, PageQuery } from './json-calls.ts';

export type WebhookCalls = ReturnType<typeof webhookCalls>;

/** Where the service sends its events. */
export function webhookCalls(calls: JsonCalls) {
  const at = (id: string): string => `/v1/webhooks/${encodeURIComponent(id)}`;
  return {
    add: (body: wire.CreateWebhook): Promise<wire.NewWebhook> =>
      calls.post('newWebhook', '/v1/webhooks', body, { once: true }),

    list: (page: PageQuery = {}): Promise<wire.WebhookList> => calls.list('webhooks', '/v1/webhooks', { ...page }),

    remove: (id: string, reason?: string): Promise<wire.Webhook> =>
      calls.remove('webhook', at(id), reason, { once: true }),

    test: (id: string): Promise<wire.WebhookTest> =>
      calls.post('webhookTest', `${at(id)}/test`, undefined, { once: true }),

    rotateSecret: (id: string): Promise<wire.NewWebhook> =>
      calls.post('newWebhook', `${at(id)}/secret`, undefined, { once: true }),

    deliveries: (id: string, query: PageQuery & { state?: string | undefined } = {}): Promise<wire.DeliveryList> =>
      calls.list('deliveries', `${at(id)}/deliveries`, { ...query }),

    /** @param events left out: all that are dead */
    replay: (id: string, events?: readonly string[]): Promise<wire.Replayed> =>
      calls.post('replayed', `${at(id)}/replay`, events === undefined ? undefined : { events }),
  };
}

import type * as wire from '../../api/types.ts';
import * as asked from '../../api/webhook-requests.ts';
import * as schema from '../../api/webhooks.ts';
import { parseWebhookId } from '../../core/ids.ts';
import type { DeliveryRecord } from '../../usecases/records.ts';
import { testWebhook } from '../../usecases/test-webhook.ts';
import {
  createWebhook,
  getWebhook,
  type KnownWebhook,
  listDeliveries,
  listWebhooks,
  removeWebhook,
  replayWebhook,
  rotateWebhookSecret,
} from '../../usecases/webhooks.ts';
import { iso, isoOrNull } from '../present.ts';
import { type Route, route } from '../route.ts';

const NO_STORE = { 'Cache-Control': 'no-store' };

export const webhookRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/webhooks',
    operationId: 'createWebhook',
    summary:
      'Has events sent to a URL from now on; the answer shows the secret that signs them, and nothing shows it again',
    tag: 'Webhooks',
    body: asked.CreateWebhook,
    answers: { 201: schema.NewWebhook },
    async handle(services, { body, caller }) {
      const { webhook, secret } = await createWebhook(services, caller, body);
      return { status: 201, body: { ...present(webhook), secret }, headers: NO_STORE };
    },
  }),

  route({
    method: 'get',
    path: '/v1/webhooks',
    operationId: 'listWebhooks',
    summary: 'Webhooks, the newest first, without their secrets, and how they fare',
    tag: 'Webhooks',
    query: asked.ListWebhooks,
    answers: { 200: schema.WebhookList },
    async handle(services, { query, caller, operationId }) {
      const below = query.cursor === undefined ? null : (services.cursors.decode(operationId, query.cursor) as string);
      const all = (await listWebhooks(services, caller)).filter(({ id }) => below === null || id < below);
      const page = all.slice(0, query.limit);
      const last = page.at(-1);
      const more = all.length > page.length && last !== undefined;
      return {
        status: 200,
        body: { items: page.map(present), next_cursor: more ? services.cursors.encode(operationId, last.id) : null },
      };
    },
  }),

  route({
    method: 'get',
    path: '/v1/webhooks/{id}',
    operationId: 'getWebhook',
    summary: 'One webhook, and how it fares',
    tag: 'Webhooks',
    answers: { 200: schema.Webhook },
    async handle(services, { params, caller }) {
      return { status: 200, body: present(await getWebhook(services, caller, idOf(params))) };
    },
  }),

  route({
    method: 'delete',
    path: '/v1/webhooks/{id}',
    operationId: 'removeWebhook',
    summary:
      'Removes a webhook: it is sent nothing more, and what waited for it is forgotten; the answer is what it was',
    tag: 'Webhooks',
    body: asked.RemoveWebhook,
    bodyOrQuery: true,
    answers: { 200: schema.Webhook },
    async handle(services, { params, body, caller }) {
      const removed = await removeWebhook(services, caller, idOf(params), body?.reason ?? null);
      return { status: 200, body: present(removed) };
    },
  }),

  route({
    method: 'post',
    path: '/v1/webhooks/{id}/test',
    operationId: 'testWebhook',
    summary: 'Sends it one event that is no event of the audit, and says what became of it',
    tag: 'Webhooks',
    answers: { 200: schema.WebhookTest },
    async handle(services, { params, caller }) {
      const { status, failure } = await testWebhook(services, caller, idOf(params));
      return { status: 200, body: { delivered: failure === null, status, failure } };
    },
  }),

  route({
    method: 'post',
    path: '/v1/webhooks/{id}/secret',
    operationId: 'rotateWebhookSecret',
    summary: 'Makes a new secret, which the answer shows; the one before signs beside it for a day',
    tag: 'Webhooks',
    answers: { 200: schema.NewWebhook },
    async handle(services, { params, caller }) {
      const { webhook, secret } = await rotateWebhookSecret(services, caller, idOf(params));
      return { status: 200, body: { ...present(webhook), secret }, headers: NO_STORE };
    },
  }),

  route({
    method: 'get',
    path: '/v1/webhooks/{id}/deliveries',
    operationId: 'listDeliveries',
    summary: 'Events that it did not take: those that are tried again, and dead ones; the oldest first',
    tag: 'Webhooks',
    query: asked.ListDeliveries,
    answers: { 200: schema.DeliveryList },
    async handle(services, { params, query, caller, operationId }) {
      const after = query.cursor === undefined ? 0 : (services.cursors.decode(operationId, query.cursor) as number);
      const state = query.state ?? null;
      const { deliveries, more } = await listDeliveries(services, caller, idOf(params), state, after, query.limit);
      const last = deliveries.at(-1);
      return {
        status: 200,
        body: {
          items: deliveries.map(presentDelivery),
          next_cursor: more && last ? services.cursors.encode(operationId, last.seq) : null,
        },
      };
    },
  }),

  route({
    method: 'post',
    path: '/v1/webhooks/{id}/replay',
    operationId: 'replayWebhook',
    summary: 'Dead events are sent again, and those that wait are tried at once',
    tag: 'Webhooks',
    body: asked.ReplayWebhook,
    answers: { 200: schema.Replayed },
    async handle(services, { params, body, caller }) {
      const replayed = await replayWebhook(services, caller, idOf(params), body?.events ?? null);
      return { status: 200, body: { replayed } };
    },
  }),
];

function idOf(params: Record<string, string>) {
  return parseWebhookId(params.id as string);
}

function present(webhook: KnownWebhook): wire.Webhook {
  const { id, url, format, description, types, producers, created_by, waiting, dead, failures, failure } = webhook;
  return {
    id,
    url,
    format,
    description,
    types: types && [...types],
    producers: producers && [...producers],
    state: webhook.stopped_at !== null ? 'stopped' : waiting > 0 ? 'failing' : 'active',
    created_at: iso(webhook.created_at),
    created_by,
    stopped_at: isoOrNull(webhook.stopped_at),
    waiting,
    dead,
    failures,
    delivered_at: isoOrNull(webhook.delivered_at),
    failed_at: isoOrNull(webhook.failed_at),
    failure,
    previous_secret_until: isoOrNull(webhook.previous_until),
  };
}

function presentDelivery(delivery: DeliveryRecord): wire.Delivery {
  const { event_id, action, package_id, state, attempts, failure } = delivery;
  return {
    event_id,
    type: action,
    package_id,
    state,
    attempts,
    next_at: isoOrNull(delivery.next_at),
    failed_at: isoOrNull(delivery.failed_at),
    failure,
  };
}

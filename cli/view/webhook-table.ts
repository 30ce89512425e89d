import type { Delivery, Webhook } from '../../src/api/types.ts';
import { formatTime, table } from '../format.ts';

/** Newest first, as they come. */
export function webhookTable(webhooks: readonly Webhook[]): string {
  if (webhooks.length === 0) return 'No webhooks.';
  const head = ['WEBHOOK', 'STATE', 'WAITING', 'DEAD', 'LAST TAKEN', 'TYPES', 'PRODUCERS', 'URL', 'LAST FAILURE'];
  return table([head, ...webhooks.map(rowOf)], [2, 3]);
}

function rowOf({ id, state, waiting, dead, delivered_at, types, producers, url, failure }: Webhook): string[] {
  return [
    id,
    state,
    String(waiting),
    String(dead),
    formatTime(delivered_at),
    types === null ? 'all' : types.join(' '),
    producers === null ? 'all' : producers.join(', '),
    url,
    failure ?? '',
  ];
}

/** Oldest first, as they come. */
export function deliveryTable(deliveries: readonly Delivery[]): string {
  if (deliveries.length === 0) return 'Nothing waits, and nothing is dead.';
  const head = ['EVENT', 'STATE', 'ATTEMPTS', 'NEXT', 'TYPE', 'PACKAGE', 'LAST FAILURE'];
  const rows = deliveries.map(({ event_id, state, attempts, next_at, type, package_id, failure }) => [
    event_id,
    state,
    String(attempts),
    next_at === null ? '' : formatTime(next_at),
    type,
    package_id ?? '',
    failure ?? '',
  ]);
  return table([head, ...rows], [2]);
}

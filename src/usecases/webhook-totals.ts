import type { Registry } from '../registry/registry.ts';

/** Of all webhooks that were not stopped. */
export interface WebhookTotals {
  webhooks: number;
  /** Events that some of them did not take. */
  waiting: number;
  dead: number;
  /** How old the oldest event is that was not sent to somebody yet, ms. */
  lag: number;
}

export async function webhookTotals({ read }: Pick<Registry, 'read'>): Promise<WebhookTotals> {
  const live = (await read.webhooks.list()).filter(({ stopped_at }) => stopped_at === null);
  const counts = live.length === 0 ? new Map() : await read.deliveries.counts();
  const oldest = live.length === 0 ? null : await read.webhooks.oldestUnsent();
  const sum = (state: 'waiting' | 'dead'): number =>
    live.reduce((total, { id }) => total + (counts.get(id)?.[state] ?? 0), 0);
  return {
    webhooks: live.length,
    waiting: sum('waiting'),
    dead: sum('dead'),
    lag: oldest === null ? 0 : Math.max(0, (await read.now()) - oldest),
  };
}

import type { Knex } from 'knex';
import type { AuditAction } from '../core/audit-actions.ts';
import type { WebhookId } from '../core/ids.ts';

/**
 * An event that a webhook did not take: it waits for its next attempt, or for another one of its stream, or is dead. What is taken at once
 * has no row. Times in ms.
 */
export interface Delivery {
  seq: number;
  stream: string;
  attempts: number;
  /** Null: another event of its stream comes first, or it is dead. */
  next_at: number | null;
  failed_at: number | null;
  failure: string | null;
}

export type DeliveryState = 'waiting' | 'dead';

export interface DeliveryRecord extends Delivery {
  state: DeliveryState;
  event_id: string;
  action: AuditAction;
  package_id: string | null;
}

export interface DeliveryCounts {
  waiting: number;
  dead: number;
}

/** Of one statement. */
const BATCH = 200;

export function webhookDeliveryTable(db: Knex) {
  const of = (webhook_id: WebhookId) => db('webhook_deliveries').where({ webhook_id });

  return {
    /** Those whose time has come, the longest waiting first: of a stream no more than one. */
    async due(id: WebhookId, now: number, limit: number): Promise<Delivery[]> {
      return of(id)
        .where({ state: 'waiting' })
        .where('next_at', '<=', now)
        .orderBy([{ column: 'next_at' }, { column: 'seq' }])
        .limit(limit)
        .select('seq', 'stream', 'attempts', 'next_at', 'failed_at', 'failure');
    },

    async countWaiting(id: WebhookId): Promise<number> {
      const [row] = await of(id).where({ state: 'waiting' }).count({ count: '*' });
      return Number(row?.count);
    },

    /** Which of these streams have something that waits. */
    async waitingStreams(id: WebhookId, streams: readonly string[]): Promise<Set<string>> {
      const rows: Array<{ stream: string }> = await of(id)
        .where({ state: 'waiting' })
        .whereIn('stream', [...streams])
        .distinct('stream');
      return new Set(rows.map(({ stream }) => stream));
    },

    /** By webhook; of one that has none there is nothing. */
    async counts(): Promise<Map<string, DeliveryCounts>> {
      const rows: Array<{ webhook_id: string; state: DeliveryState; count: number | string }> = await db(
        'webhook_deliveries',
      )
        .groupBy('webhook_id', 'state')
        .select('webhook_id', 'state', db.raw('count(*) as count'));
      const found = new Map<string, DeliveryCounts>();
      for (const { webhook_id, state, count } of rows) {
        const counts = found.get(webhook_id) ?? { waiting: 0, dead: 0 };
        found.set(webhook_id, { ...counts, [state]: Number(count) });
      }
      return found;
    },

    /** In the order of the events. @param state null: both */
    async page(id: WebhookId, state: DeliveryState | null, after: number, limit: number): Promise<DeliveryRecord[]> {
      const query = db('webhook_deliveries as d')
        .join('audit_events as e', 'e.seq', 'd.seq')
        .where('d.webhook_id', id)
        .where('d.seq', '>', after)
        .orderBy('d.seq')
        .limit(limit);
      if (state !== null) query.where('d.state', state);
      return query.select(
        'd.seq as seq',
        'd.stream as stream',
        'd.state as state',
        'd.attempts as attempts',
        'd.next_at as next_at',
        'd.failed_at as failed_at',
        'd.failure as failure',
        'e.id as event_id',
        'e.action as action',
        'e.package_id as package_id',
      );
    },

    async add(id: WebhookId, deliveries: readonly Delivery[]): Promise<void> {
      for (let at = 0; at < deliveries.length; at += BATCH) {
        const rows = deliveries.slice(at, at + BATCH);
        await db('webhook_deliveries').insert(rows.map((row) => ({ ...row, webhook_id: id, state: 'waiting' })));
      }
    },

    /** They were taken. */
    async remove(id: WebhookId, seqs: readonly number[]): Promise<void> {
      if (seqs.length > 0)
        await of(id)
          .whereIn('seq', [...seqs])
          .delete();
    },

    /** Each has failed once more; without a next attempt it is dead. */
    async put(id: WebhookId, deliveries: readonly Delivery[]): Promise<void> {
      if (deliveries.length === 0) return;
      await db('webhook_deliveries')
        .insert(deliveries.map((row) => ({ ...row, webhook_id: id, state: row.next_at === null ? 'dead' : 'waiting' })))
        .onConflict(['webhook_id', 'seq'])
        .merge(['state', 'attempts', 'next_at', 'failed_at', 'failure']);
    },

    /** The first that waits of each stream is next, and the others come after it. @param streams null: all */
    async arrange(id: WebhookId, streams: readonly string[] | null, now: number): Promise<void> {
      const waiting = () => {
        const query = of(id).where({ state: 'waiting' });
        return streams === null ? query : query.whereIn('stream', [...streams]);
      };
      const first = waiting().groupBy('stream').min('seq');
      await waiting().whereNotNull('next_at').whereNotIn('seq', first.clone()).update({ next_at: null });
      await waiting().whereNull('next_at').whereIn('seq', first).update({ next_at: now });
    },

    /** The receiver takes events again: whatever has failed is tried now. */
    async wake(id: WebhookId, now: number): Promise<void> {
      await of(id).where({ state: 'waiting' }).where('next_at', '>', now).update({ next_at: now });
    },

    /** Dead ones wait again, as if they had not failed. @param events their ids; null: all @returns how many */
    async revive(id: WebhookId, events: readonly string[] | null): Promise<number> {
      const query = of(id).where({ state: 'dead' });
      if (events !== null) {
        const seqs = db('audit_events as e')
          .join('webhook_deliveries as d', 'd.seq', 'e.seq')
          .where({ 'd.webhook_id': id, 'd.state': 'dead' })
          .whereIn('e.id', [...events])
          .select('e.seq');
        // SQLite and PostgreSQL alike: what is changed is not what is asked.
        const rows: Array<{ seq: number }> = await seqs;
        query.whereIn(
          'seq',
          rows.map(({ seq }) => seq),
        );
      }
      return query.update({ state: 'waiting', attempts: 0, next_at: null });
    },
  };
}

export type WebhookDeliveryTable = ReturnType<typeof webhookDeliveryTable>;

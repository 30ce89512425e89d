import type { Knex } from 'knex';
import type { WebhookId } from '../core/ids.ts';
import type { WebhookFormat } from '../core/webhook.ts';
import { isPostgres, rowsOf } from './dialect.ts';

/** Who is sent events, without the secret, which is kept nowhere. Times in ms. */
export interface WebhookRecord {
  id: WebhookId;
  url: string;
  format: WebhookFormat;
  description: string | null;
  /** Actions, and groups of them; null: every one. */
  types: readonly string[] | null;
  /** Whose packages' events; null: everybody's, and those of no package. */
  producers: readonly string[] | null;
  secret_no: number;
  secret_hash: Buffer;
  /** So long the secret before signs, too. */
  previous_until: number | null;
  created_by: string;
  created_at: number;
  stopped_at: number | null;
  /** Every event up to this seq was sent, or stands among the deliveries. */
  position: number;
  delivered_at: number | null;
  /** Attempts that have failed since something was taken. */
  failures: number;
  failed_at: number | null;
  failure: string | null;
}

export type NewWebhook = Omit<
  WebhookRecord,
  'previous_until' | 'stopped_at' | 'delivered_at' | 'failures' | 'failed_at' | 'failure'
>;

/** What became of attempts. */
export type WebhookProgress = Pick<WebhookRecord, 'position' | 'failures'> &
  Partial<Pick<WebhookRecord, 'delivered_at' | 'failed_at' | 'failure'>>;

type Row = Omit<WebhookRecord, 'types' | 'producers'> & { types: string | null; producers: string | null };

const COLUMNS = [
  'id',
  'url',
  'format',
  'description',
  'types',
  'producers',
  'secret_no',
  'secret_hash',
  'previous_until',
  'created_by',
  'created_at',
  'stopped_at',
  'position',
  'delivered_at',
  'failures',
  'failed_at',
  'failure',
] as const satisfies ReadonlyArray<keyof WebhookRecord>;

function fromRow(row: Row): WebhookRecord {
  const list = (text: string | null): string[] | null => (text === null ? null : JSON.parse(text));
  return { ...row, types: list(row.types), producers: list(row.producers) };
}

/** Of several services one sends for a webhook at a time: who has its lease, by the database's time. */
export function webhookTable(db: Knex) {
  return {
    /** Whether anything is sent to anybody. */
    async any(): Promise<boolean> {
      return (await db('webhooks').whereNull('stopped_at').first('id')) !== undefined;
    },

    async get(id: WebhookId): Promise<WebhookRecord | null> {
      const row: Row | undefined = await db('webhooks').where({ id }).first(COLUMNS);
      return row === undefined ? null : fromRow(row);
    },

    /** The newest first. There are few. */
    async list(): Promise<WebhookRecord[]> {
      return ((await db('webhooks').orderBy('id', 'desc').select(COLUMNS)) as Row[]).map(fromRow);
    },

    async count(): Promise<Array<{ created_by: string; count: number }>> {
      const rows: Array<{ created_by: string; count: number | string }> = await db('webhooks')
        .groupBy('created_by')
        .select('created_by', db.raw('count(*) as count'));
      return rows.map(({ created_by, count }) => ({ created_by, count: Number(count) }));
    },

    async insert({ types, producers, ...webhook }: NewWebhook): Promise<void> {
      const text = (list: readonly string[] | null): string | null => (list === null ? null : JSON.stringify(list));
      await db('webhooks').insert({ ...webhook, types: text(types), producers: text(producers) });
    },

    /** With all that waits for it. */
    /** @returns false: somebody else has */
    async remove(id: WebhookId): Promise<boolean> {
      if ((await db('webhooks').where({ id }).delete()) === 0) return false;
      await db('webhook_deliveries').where({ webhook_id: id }).delete();
      return true;
    },

    /** @param before the number of the one that stood @returns false: another one was put in its place */
    async setSecret(
      id: WebhookId,
      before: number,
      secret: Pick<WebhookRecord, 'secret_no' | 'secret_hash' | 'previous_until'>,
    ): Promise<boolean> {
      return (await db('webhooks').where({ id, secret_no: before }).update(secret)) > 0;
    },

    /** Those of this actor are sent nothing any more. @returns which */
    async stopOf(actor: string, now: number): Promise<WebhookId[]> {
      const those = db('webhooks').where({ created_by: actor, stopped_at: null });
      const rows: Array<{ id: WebhookId }> = await those.clone().orderBy('id').select('id');
      if (rows.length > 0) await those.update({ stopped_at: now });
      return rows.map(({ id }) => id);
    },

    /**
     * Those for which there is something to do that nobody does.
     * @param last seq up to which every event can be seen @param most deliveries of one that may wait before no new event is looked at
     */
    async listDue(last: number, now: number, most: number): Promise<WebhookId[]> {
      const rows: Array<{ id: WebhookId }> = rowsOf(
        await db.raw(
          `select w.id as id from webhooks w where w.stopped_at is null and w.lease_until <= ? and (
             exists (select 1 from webhook_deliveries d
               where d.webhook_id = w.id and d.state = 'waiting' and d.next_at <= ?)
             or (w.position < ? and ? > (select count(*) from webhook_deliveries d
               where d.webhook_id = w.id and d.state = 'waiting')))
           order by w.id`,
          [now, now, last, most],
        ),
      );
      return rows.map(({ id }) => id);
    },

    /** For which somebody sends now, or has died while it did. */
    async leased(): Promise<WebhookId[]> {
      const rows: Array<{ id: WebhookId }> = await db('webhooks').whereNotNull('lease').select('id');
      return rows.map(({ id }) => id);
    },

    /** @returns whether nobody else sends for it, and it was not stopped */
    async claim(id: WebhookId, lease: string, now: number, until: number): Promise<boolean> {
      const free = db('webhooks').where({ id, stopped_at: null }).where('lease_until', '<=', now);
      return (await free.update({ lease, lease_until: until })) === 1;
    },

    /** Nobody else takes the lease until the transaction ends. @returns whether it is still this one */
    async hold(id: WebhookId, lease: string): Promise<boolean> {
      return (await db('webhooks').where({ id, lease, stopped_at: null }).update({ lease })) === 1;
    },

    async release(id: WebhookId, lease: string): Promise<void> {
      await db('webhooks').where({ id, lease }).update({ lease: null, lease_until: 0 });
    },

    /** Of a process that is gone. */
    async endLeases(): Promise<void> {
      await db('webhooks').whereNotNull('lease').update({ lease: null, lease_until: 0 });
    },

    async note(id: WebhookId, progress: WebhookProgress): Promise<void> {
      await db('webhooks').where({ id }).update(progress);
    },

    /** For the gauges: how old the oldest event is that somebody was not sent yet, ms; null: there is none. */
    async oldestUnsent(): Promise<number | null> {
      const [row] = rowsOf<{ at: number | string | null }>(
        await db.raw(
          `select min(at) as at from (
             select (select e.at from audit_events e where e.seq > w.position order by e.seq limit 1) as at
             from webhooks w where w.stopped_at is null
             union all
             select (select e.at from audit_events e where e.seq = d.seq) as at
             from webhook_deliveries d join webhooks w on w.id = d.webhook_id
             where d.state = 'waiting' and w.stopped_at is null) unsent`,
        ),
      );
      return row?.at == null ? null : Number(row.at);
    },

    /** Nobody else makes one until the transaction ends. */
    async lockAll(): Promise<void> {
      if (isPostgres(db)) await db.raw('lock table webhooks in share row exclusive mode');
    },
  };
}

export type WebhookTable = ReturnType<typeof webhookTable>;

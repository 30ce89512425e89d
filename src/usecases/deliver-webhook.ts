import { randomUUID } from 'node:crypto';
import type { WebhookId } from '../core/ids.ts';
import { actionsOf, pauseAfter, streamOf } from '../core/webhook.ts';
import type { AuditRecord } from '../registry/audit.ts';
import type { Tables } from '../registry/registry.ts';
import type { Delivery } from '../registry/webhook-deliveries.ts';
import type { WebhookRecord } from '../registry/webhooks.ts';
import { mapLimit } from './map-limit.ts';
import { sendEvent } from './send-webhook.ts';
import type { Sent } from './sent.ts';
import type { Services } from './services.ts';

/*
 * The audit's events are the outbox: each was written in the transaction of its change, and a webhook has a position among them. Whoever
 * has the webhook's lease reads on from there, sends, and then moves the position; what was not taken becomes a row of its own, which
 * waits for its next attempt, with those of its stream behind it. A process that dies in between has sent something twice.
 */

/** How long one service sends for a webhook before others may, and how long before its end it begins nothing more; ms. */
const LEASE_MS = 60_000;
const LEASE_MARGIN_MS = 30_000;
/** New events of one turn, and those that wait. */
const BATCH = 100;
/** Streams to which is sent at once. */
const AT_ONCE = 8;
/** With so many that wait, no new event is looked at: they stay where they are. */
export const WAITING_MAX = 500;
/** After so many failures a success means that the receiver is back. */
const WAKE_AFTER = 5;

/** What one service does for a webhook while it has its lease. */
interface Turn {
  id: WebhookId;
  lease: string;
  /** When nothing more is begun, by `performance.now()`. */
  until: number;
  signal: AbortSignal;
}

/** An event that is to be sent, with what is known of its attempts. */
interface Item {
  delivery: Delivery;
  /** Null: the registry does not have it any more. */
  event: AuditRecord | null;
}

type Fate = 'sent' | 'failed' | 'untried';

interface Outcome {
  item: Item;
  fate: Fate;
  failure: string | null;
  /** What the receiver asks to wait, s. */
  retryAfter: number | null;
}

/** Sends all that is to be sent now. Nothing happens if another service does. */
export async function deliverWebhook(services: Services, id: WebhookId, signal: AbortSignal): Promise<void> {
  const { registry } = services;
  const lease = randomUUID();
  const begun = performance.now();
  const claimed = await registry.transaction(async ({ webhooks, now }) => {
    const at = await now();
    return webhooks.claim(id, lease, at, at + LEASE_MS);
  });
  if (!claimed) return;
  const turn = { id, lease, until: begun + LEASE_MS - LEASE_MARGIN_MS, signal };
  try {
    while (!signal.aborted && performance.now() < turn.until) {
      const webhook = await registry.read.webhooks.get(id);
      if (webhook === null || webhook.stopped_at !== null) return;
      const again = await deliverDue(services, turn, webhook);
      const next = await deliverNew(services, turn, webhook);
      if (!again && !next) return;
    }
  } finally {
    await registry.transaction(({ webhooks }) => webhooks.release(id, lease));
  }
}

/** Those whose next attempt is now. @returns whether there may be more */
async function deliverDue(services: Services, turn: Turn, webhook: WebhookRecord): Promise<boolean> {
  const { read } = services.registry;
  const due = await read.deliveries.due(turn.id, await read.now(), BATCH);
  if (due.length === 0) return false;
  const items = await itemsOf(services, due);
  const outcomes = await sendAll(services, turn, webhook, items);
  return record(services, turn, { outcomes, upTo: null, behind: [] });
}

/** Those that it has not been sent yet. @returns whether there may be more */
async function deliverNew(services: Services, turn: Turn, webhook: WebhookRecord): Promise<boolean> {
  const { read } = services.registry;
  const { id, position, producers, types } = webhook;
  if ((await read.deliveries.countWaiting(id)) >= WAITING_MAX) return false;
  const filter = {
    actions: types === null ? null : actionsOf(types),
    reads: producers === null ? ({ all: true } as const) : { producers },
  };
  const { seqs, upTo } = await read.audit.next(filter, position, BATCH);
  if (upTo === position) return false;
  const events = await read.audit.at(seqs);
  const items = events.map((event): Item => ({ event, delivery: newDelivery(event) }));
  const blocked = await read.deliveries.waitingStreams(id, [...new Set(items.map(({ delivery }) => delivery.stream))]);
  const isBlocked = ({ delivery }: Item): boolean => blocked.has(delivery.stream);
  const outcomes = await sendAll(
    services,
    turn,
    webhook,
    items.filter((item) => !isBlocked(item)),
  );
  return record(services, turn, { outcomes, upTo, behind: items.filter(isBlocked) });
}

function newDelivery(event: AuditRecord): Delivery {
  return { seq: event.seq, stream: streamOf(event), attempts: 0, next_at: null, failed_at: null, failure: null };
}

async function itemsOf({ registry: { read } }: Services, deliveries: readonly Delivery[]): Promise<Item[]> {
  const events = await read.audit.at(deliveries.map(({ seq }) => seq));
  const bySeq = new Map(events.map((event) => [event.seq, event]));
  return deliveries.map((delivery) => ({ delivery, event: bySeq.get(delivery.seq) ?? null }));
}

/** Streams side by side, each in its order and up to its first failure. */
async function sendAll(
  services: Services,
  turn: Turn,
  webhook: WebhookRecord,
  items: readonly Item[],
): Promise<Outcome[]> {
  const streams = Map.groupBy(items, ({ delivery }) => delivery.stream);
  const done = await mapLimit([...streams.values()], AT_ONCE, (stream) => sendStream(services, turn, webhook, stream));
  return done.flat();
}

async function sendStream(
  services: Services,
  turn: Turn,
  webhook: WebhookRecord,
  items: readonly Item[],
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let goesOn = true;
  for (const item of items) {
    const outcome: Outcome = goesOn ? await attempt(services, turn, webhook, item) : untried(item);
    goesOn &&= outcome.fate === 'sent';
    outcomes.push(outcome);
  }
  return outcomes;
}

async function attempt(services: Services, turn: Turn, webhook: WebhookRecord, item: Item): Promise<Outcome> {
  // Who was frozen for longer than its lease must not go on: somebody else does.
  if (turn.signal.aborted || performance.now() >= turn.until) return untried(item);
  if (item.event === null) return { ...untried(item), fate: 'sent' };
  const result = await sendEvent(services, webhook, item.event, turn.signal).catch((err: unknown): Sent => {
    // An event that cannot be written must not stop those of other packages for ever.
    services.log.warn({ err, webhook: turn.id, event: item.event?.id }, 'an event could not be sent');
    return { status: null, failure: 'the service failed: its log says why', retryAfter: null };
  });
  if (turn.signal.aborted && result.failure !== null) return untried(item);
  const fate = result.failure === null ? 'sent' : 'failed';
  return { item, fate, failure: result.failure, retryAfter: result.retryAfter };
}

function untried(item: Item): Outcome {
  return { item, fate: 'untried', failure: null, retryAfter: null };
}

interface Done {
  outcomes: readonly Outcome[];
  /** New events were looked at up to this seq; null: it was about those that wait. */
  upTo: number | null;
  /** New events that others of their streams come before. */
  behind: readonly Item[];
}

/**
 * All in one transaction, if the lease is still there.
 * @returns whether it was, and something was tried
 */
async function record(services: Services, turn: Turn, { outcomes, upTo, behind }: Done): Promise<boolean> {
  const { registry, meters, log } = services;
  const of = (fate: Fate) => outcomes.filter((outcome) => outcome.fate === fate);
  const [sent, failed, left] = [of('sent'), of('failed'), of('untried')];
  const kept = await registry.transaction(async (tables) => {
    const now = await tables.now();
    if (!(await tables.webhooks.hold(turn.id, turn.lease))) return null;
    const webhook = (await tables.webhooks.get(turn.id)) as WebhookRecord;
    const rows = failed.map((outcome) => failedDelivery(outcome, now));
    await tables.deliveries.remove(turn.id, upTo === null ? seqsOf(sent) : []);
    await tables.deliveries.put(turn.id, rows);
    if (upTo !== null) {
      const queued = [...behind, ...left.map(({ item }) => item)];
      await tables.deliveries.add(
        turn.id,
        queued.map(({ delivery }) => delivery),
      );
    }
    const streams = [
      ...new Set([...outcomes.map(({ item }) => item), ...behind].map(({ delivery }) => delivery.stream)),
    ];
    // With nothing that failed and nothing that waited, there is nothing to arrange.
    if (upTo === null || rows.length + left.length + behind.length > 0) {
      await tables.deliveries.arrange(turn.id, streams, now);
    }
    await noteProgress(tables, webhook, { sent: sent.length, failed, upTo, now });
    return rows;
  });
  if (kept === null) return false;
  for (const _ of sent) meters.webhook('delivered');
  for (const { next_at, seq, failure, attempts } of kept) {
    meters.webhook(next_at === null ? 'dead' : 'failed');
    if (next_at === null)
      log.warn({ webhook: turn.id, seq, attempts, failure }, 'an event is dead: its webhook did not take it');
  }
  return sent.length + failed.length > 0 || upTo !== null;
}

function failedDelivery({ item: { delivery }, failure, retryAfter }: Outcome, now: number): Delivery {
  const attempts = delivery.attempts + 1;
  const pause = pauseAfter(attempts, Math.random(), retryAfter);
  return { ...delivery, attempts, next_at: pause === null ? null : now + pause, failed_at: now, failure };
}

async function noteProgress(
  { webhooks, deliveries }: Tables,
  webhook: WebhookRecord,
  { sent, failed, upTo, now }: { sent: number; failed: readonly Outcome[]; upTo: number | null; now: number },
): Promise<void> {
  const failure = failed.at(-1)?.failure ?? null;
  await webhooks.note(webhook.id, {
    position: upTo ?? webhook.position,
    failures: (sent > 0 ? 0 : webhook.failures) + failed.length,
    ...(sent > 0 ? { delivered_at: now } : {}),
    ...(failure === null ? {} : { failed_at: now, failure }),
  });
  if (sent > 0 && failed.length === 0 && webhook.failures >= WAKE_AFTER) await deliveries.wake(webhook.id, now);
}

function seqsOf(outcomes: readonly Outcome[]): number[] {
  return outcomes.map(({ item }) => item.delivery.seq);
}

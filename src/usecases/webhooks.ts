import { tokenOfActor } from '../core/api-token.ts';
import { StoreError } from '../core/errors.ts';
import { newId, type WebhookId } from '../core/ids.ts';
import { isWithin } from '../core/scopes.ts';
import { isLive } from '../core/token-form.ts';
import { unknownTypes, WEBHOOKS_MAX, WEBHOOKS_PER_ACTOR_MAX, type WebhookFormat } from '../core/webhook.ts';
import { hashOfSecret, PREVIOUS_SECRET_MS } from '../core/webhook-signature.ts';
import { LostRaceError } from '../registry/lost-race.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import type { Tables } from '../registry/registry.ts';
import type { DeliveryCounts, DeliveryRecord, DeliveryState } from '../registry/webhook-deliveries.ts';
import type { WebhookRecord } from '../registry/webhooks.ts';
import { grantOfCaller } from './access.ts';
import { recordChange, recordChanges } from './record-change.ts';
import type { Caller, Services } from './services.ts';

export interface WebhookInput {
  url: string;
  format: WebhookFormat;
  description?: string | undefined;
  /** Left out: every action. */
  types?: readonly string[] | undefined;
  /** Left out: whatever the caller may read. */
  producers?: readonly string[] | undefined;
}

/** A webhook, and how many events did not get through yet. */
export type KnownWebhook = WebhookRecord & DeliveryCounts;

/** What Statehub takes. */
const STATEHUB_TYPES = ['package.finalized'];

/**
 * Makes a webhook. It is sent what its maker may read, and no more: who is limited to producers makes webhooks that are, too.
 * @returns with the secret, which is not shown again @throws StoreError webhook_refused, forbidden, unauthenticated, too_many_webhooks
 */
export async function createWebhook(
  { registry, webhooks }: Services,
  caller: Caller,
  input: WebhookInput,
): Promise<{ webhook: KnownWebhook; secret: string }> {
  const types = typesOf(input);
  const problem = webhooks.urlProblem(new URL(input.url));
  if (problem !== null) throw new StoreError('webhook_refused', `The URL of the webhook ${problem}.`);
  const own = grantOfCaller(caller).producers;
  const producers = input.producers === undefined ? own : [...new Set(input.producers)];
  if (!isWithin({ scopes: [], producers }, { scopes: [], producers: own })) {
    throw new StoreError('forbidden', 'A webhook can be sent no events but those that whoever makes it may read.');
  }
  return registry.transaction(async (tables) => {
    await tables.webhooks.lockAll();
    const now = await tables.now();
    await assertNotEnded(tables, caller, now);
    await assertRoom(tables, caller);
    const id = newId('whk', now) as WebhookId;
    const secret = webhooks.secretOf(id, 1);
    await tables.webhooks.insert({
      id,
      url: input.url,
      format: input.format,
      description: input.description ?? null,
      types,
      producers,
      secret_no: 1,
      secret_hash: hashOfSecret(secret),
      created_by: caller.actor,
      created_at: now,
      // What is under way while it is made may come, too; what begins after the answer does come.
      position: await tables.audit.lastComplete(),
    });
    await recordChange(tables, caller, {
      at: now,
      action: 'webhook.created',
      package_id: null,
      subject_id: id,
      detail: {
        ...shownOf(input.url),
        format: input.format,
        types: types && [...types],
        producers: producers && [...producers],
      },
    });
    const made = (await tables.webhooks.get(id)) as WebhookRecord;
    return { webhook: { ...made, waiting: 0, dead: 0 }, secret };
  });
}

/** The newest first: those that are sent nothing but what the caller may read. */
export async function listWebhooks({ registry: { read } }: Services, caller: Caller): Promise<KnownWebhook[]> {
  const counts = await read.deliveries.counts();
  const all = await read.webhooks.list();
  return all.filter((webhook) => mayManage(caller, webhook)).map((webhook) => withCounts(webhook, counts));
}

/** @throws StoreError webhook_not_found */
export async function getWebhook(
  { registry: { read } }: Services,
  caller: Caller,
  id: WebhookId,
): Promise<KnownWebhook> {
  return withCounts(await readWebhook(read, caller, id), await read.deliveries.counts());
}

/** From now on nothing is sent; what waits is forgotten. @throws StoreError webhook_not_found */
export async function removeWebhook(
  { registry }: Services,
  caller: Caller,
  id: WebhookId,
  reason: string | null,
): Promise<KnownWebhook> {
  return registry.transaction(async (tables) => {
    const webhook = withCounts(await readWebhook(tables, caller, id), await tables.deliveries.counts());
    const at = await tables.now();
    if (!(await tables.webhooks.remove(id))) throw new LostRaceError(`webhook ${id}`);
    const about = { package_id: null, subject_id: id, reason, detail: shownOf(webhook.url) };
    await recordChange(tables, caller, { at, action: 'webhook.removed', ...about });
    return webhook;
  });
}

/** A new secret. The one before signs beside it for a day. @throws StoreError webhook_not_found */
export async function rotateWebhookSecret(
  { registry, webhooks }: Services,
  caller: Caller,
  id: WebhookId,
): Promise<{ webhook: KnownWebhook; secret: string }> {
  return registry.transaction(async (tables) => {
    const before = await readWebhook(tables, caller, id);
    const at = await tables.now();
    const secret_no = before.secret_no + 1;
    const secret = webhooks.secretOf(id, secret_no);
    const previous_until = at + PREVIOUS_SECRET_MS;
    const made = { secret_no, secret_hash: hashOfSecret(secret), previous_until };
    if (!(await tables.webhooks.setSecret(id, before.secret_no, made))) throw new LostRaceError(`the secret of ${id}`);
    const about = { package_id: null, subject_id: id, detail: shownOf(before.url) };
    await recordChange(tables, caller, { at, action: 'webhook.secret_rotated', ...about });
    return { webhook: withCounts(await readWebhook(tables, caller, id), await tables.deliveries.counts()), secret };
  });
}

/** Events that wait, and dead ones, in their order. @param after a seq @throws StoreError webhook_not_found */
export async function listDeliveries(
  { registry: { read } }: Services,
  caller: Caller,
  id: WebhookId,
  state: DeliveryState | null,
  after: number,
  limit: number,
): Promise<{ deliveries: DeliveryRecord[]; more: boolean }> {
  await readWebhook(read, caller, id);
  const found = await read.deliveries.page(id, state, after, limit + 1);
  return { deliveries: found.slice(0, limit), more: found.length > limit };
}

/**
 * Dead events are sent again, each in its place among those of its package that wait; what waits is tried at once.
 * @param events null: all @returns how many were dead @throws StoreError webhook_not_found
 */
export async function replayWebhook(
  { registry }: Services,
  caller: Caller,
  id: WebhookId,
  events: readonly string[] | null,
): Promise<number> {
  return registry.transaction(async (tables) => {
    await readWebhook(tables, caller, id);
    const now = await tables.now();
    const revived = await tables.deliveries.revive(id, events);
    await tables.deliveries.arrange(id, null, now);
    await tables.deliveries.wake(id, now);
    return revived;
  });
}

/** What a token has made ends with it: whoever may read no more is sent no more. In the transaction that revokes it. */
export async function stopWebhooksOf(tables: Tables, caller: Caller, actor: string, at: number): Promise<void> {
  // Who makes one meanwhile either has it stopped here or finds its token revoked.
  await tables.webhooks.lockAll();
  const stopped = await tables.webhooks.stopOf(actor, at);
  const about = { at, action: 'webhook.stopped' as const, package_id: null, detail: { created_by: actor } };
  await recordChanges(
    tables,
    caller,
    stopped.map((subject_id) => ({ ...about, subject_id })),
  );
}

/** @throws StoreError webhook_not_found: there is none, or it is sent what the caller may not read */
export async function readWebhook(
  tables: Pick<ReadTables, 'webhooks'>,
  caller: Caller,
  id: WebhookId,
): Promise<WebhookRecord> {
  const webhook = await tables.webhooks.get(id);
  if (webhook !== null && mayManage(caller, webhook)) return webhook;
  throw new StoreError('webhook_not_found', `There is no webhook ${id}.`);
}

function mayManage(caller: Caller, { producers }: WebhookRecord): boolean {
  return isWithin({ scopes: [], producers }, { scopes: [], producers: grantOfCaller(caller).producers });
}

function withCounts(webhook: WebhookRecord, counts: ReadonlyMap<string, DeliveryCounts>): KnownWebhook {
  return { ...webhook, ...(counts.get(webhook.id) ?? { waiting: 0, dead: 0 }) };
}

/** @throws StoreError webhook_refused */
function typesOf({ format, types }: WebhookInput): readonly string[] | null {
  if (format === 'statehub') {
    if (types === undefined) return STATEHUB_TYPES;
    throw new StoreError('webhook_refused', 'Statehub is told of finalized packages alone: leave types out.');
  }
  const unknown = unknownTypes(types ?? []);
  if (unknown.length > 0) {
    const named = unknown.map((type) => JSON.stringify(type)).join(', ');
    throw new StoreError('webhook_refused', `No event is of the type ${named}: docs/webhooks.md lists them.`);
  }
  return types === undefined ? null : [...new Set(types)];
}

/** Path and query of an URL may be secrets: the audit is told neither. */
function shownOf(url: string): { origin: string } {
  return { origin: new URL(url).origin };
}

/** The token was looked at before: one that has been revoked since has had its webhooks stopped already. @throws StoreError unauthenticated */
async function assertNotEnded({ apiTokens }: Tables, { actor }: Caller, now: number): Promise<void> {
  const id = tokenOfActor(actor);
  const token = id === null ? null : await apiTokens.get(id);
  if (token === null || isLive(token, now)) return;
  throw new StoreError('unauthenticated', 'The bearer token has expired or was revoked.');
}

/** @throws StoreError too_many_webhooks */
async function assertRoom({ webhooks }: Tables, { actor }: Caller): Promise<void> {
  const counts = await webhooks.count();
  const all = counts.reduce((sum, { count }) => sum + count, 0);
  const own = counts.find(({ created_by }) => created_by === actor)?.count ?? 0;
  const limits = [
    { limit: 'webhooks_per_actor', allowed: WEBHOOKS_PER_ACTOR_MAX, used: own },
    { limit: 'webhooks', allowed: WEBHOOKS_MAX, used: all },
  ];
  const full = limits.find(({ allowed, used }) => used >= allowed);
  if (full === undefined) return;
  throw new StoreError(
    'too_many_webhooks',
    `There are ${full.used} webhooks${full.limit === 'webhooks' ? '' : ` of ${actor}`}, and may be ${full.allowed}: remove some.`,
    { ...full, asked: 1 },
  );
}

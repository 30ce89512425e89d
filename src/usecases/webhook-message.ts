import { auditEntry } from '../core/audit-entry.ts';
import type { JsonObject } from '../core/canonical-json.ts';
import { binary, type CloudEvent, EVENT_TYPE_PREFIX, type HttpMessage, structured } from '../core/cloud-event.ts';
import { newId } from '../core/ids.ts';
import { progressEvent } from '../core/statehub.ts';
import type { WebhookFormat } from '../core/webhook.ts';
import type { AuditRecord } from '../registry/audit.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { WebhookRecord } from '../registry/webhooks.ts';
import { loggedEvent } from './log-entry.ts';

/** What one event is for one receiver. */
export interface WebhookMessage extends HttpMessage {
  /** The audit event's: the same at each attempt, by which a receiver knows what it has had. */
  id: string;
}

/** Where events come from. */
export interface EventSource {
  /** The log's name: it has each event, too. */
  origin: string;
  /** How clients reach the service. */
  publicUrl: string;
}

/** Type of a Statehub message: its data is the body of Statehub's `POST /progress/`. */
const STATEHUB_TYPE = `${EVENT_TYPE_PREFIX}statehub.artifact_link`;
const TEST_TYPE = `${EVENT_TYPE_PREFIX}webhook.test`;

/** @param pkg the event's package as it is now; null: it is of none */
export function messageOf(
  format: WebhookFormat,
  event: AuditRecord,
  pkg: PackageRecord | null,
  { origin, publicUrl }: EventSource,
): WebhookMessage {
  // As the audit's log has it, so that whoever has it can ask for the proof that it is there.
  const entry = JSON.parse(auditEntry(loggedEvent(event)).toString()) as JsonObject & { at: string };
  const about = { id: event.id, source: origin, subject: event.package_id, time: entry.at };
  const url = `${publicUrl}/v1/packages/${event.package_id}`;
  if (format === 'statehub' && pkg !== null) {
    return written(format, { ...about, type: STATEHUB_TYPE, data: progressOf(pkg, url) });
  }
  const data: JsonObject = { event: entry };
  if (pkg !== null) data.package = { ...namesOf(pkg), url };
  return written(format, { ...about, type: EVENT_TYPE_PREFIX + event.action, data });
}

/** What is sent for a test. It is no event of the audit. */
export function testMessage(webhook: WebhookRecord, now: number, { origin }: EventSource): WebhookMessage {
  const says = `A test of the webhook ${webhook.id}.`;
  const about = { id: newId('evt', now), source: origin, subject: null, time: new Date(now).toISOString() };
  const data: JsonObject =
    webhook.format === 'statehub'
      ? { event_type: 'artifact_link', author: 'artifact-store', summary: says, detail: { webhook_id: webhook.id } }
      : { webhook_id: webhook.id, says };
  return written(webhook.format, { ...about, type: TEST_TYPE, data });
}

function written(format: WebhookFormat, event: CloudEvent): WebhookMessage {
  return { id: event.id, ...(format === 'statehub' ? binary(event) : structured(event)) };
}

/** What never changes of a package, and says whose it is. */
function namesOf({ id, name, producer, subject, external_id }: PackageRecord): JsonObject {
  return { id, name, producer, subject, external_id };
}

function progressOf(pkg: PackageRecord, url: string): JsonObject {
  const expires_at = pkg.expires_at === null ? null : new Date(pkg.expires_at).toISOString();
  const facts = { ...pkg, package_id: pkg.id, retention: { class: pkg.retention_class, expires_at } };
  return progressEvent(facts, url) as unknown as JsonObject;
}

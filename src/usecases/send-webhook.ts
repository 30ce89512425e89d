import type { PackageId } from '../core/ids.ts';
import { hashOfSecret, signatureHeaders } from '../core/webhook-signature.ts';
import type { AuditRecord } from '../registry/audit.ts';
import type { WebhookRecord } from '../registry/webhooks.ts';
import type { Sent } from './sent.ts';
import type { Services } from './services.ts';
import { type EventSource, messageOf, testMessage, type WebhookMessage } from './webhook-message.ts';

/** One event to one receiver. Never throws for what the receiver does. */
export async function sendEvent(
  services: Services,
  webhook: WebhookRecord,
  event: AuditRecord,
  signal: AbortSignal,
): Promise<Sent> {
  const { packages } = services.registry.read;
  // One for each request that is sent: it is the request that takes time.
  const [pkg] =
    event.package_id === null ? [] : await packages.list({ ids: [event.package_id as PackageId] }, { all: true }, 1);
  return send(services, webhook, messageOf(webhook.format, event, pkg ?? null, sourceOf(services)), signal);
}

/** Something that is no event, once. */
export async function sendTest(services: Services, webhook: WebhookRecord): Promise<Sent> {
  const now = await services.registry.read.now();
  return send(services, webhook, testMessage(webhook, now, sourceOf(services)), null);
}

function sourceOf({ auditLog, publicUrl }: Services): EventSource {
  return { origin: auditLog.origin(), publicUrl: publicUrl() };
}

async function send(
  { registry, webhooks }: Services,
  webhook: WebhookRecord,
  { id, headers, body }: WebhookMessage,
  signal: AbortSignal | null,
): Promise<Sent> {
  const secret = webhooks.secretOf(webhook.id, webhook.secret_no);
  if (!hashOfSecret(secret).equals(webhook.secret_hash)) {
    const failure = "the service's signing key is another one than when the secret was made: rotate the secret";
    return { status: null, failure, retryAfter: null };
  }
  const secrets = [secret];
  const until = webhook.previous_until;
  if (until !== null && (await registry.read.now()) < until) {
    secrets.push(webhooks.secretOf(webhook.id, webhook.secret_no - 1));
  }
  // Receivers compare it with their own clocks.
  const at = Math.floor(Date.now() / 1_000);
  return webhooks.post(webhook.url, { ...headers, ...signatureHeaders(id, at, body, secrets) }, body, signal);
}

import { createHmac, hash } from 'node:crypto';

/**
 * Signatures as Standard Webhooks has them (https://www.standardwebhooks.com): HMAC-SHA-256 over `id.timestamp.body`, its key the bytes
 * that stand in base64 behind `whsec_`.
 */
const PREFIX = 'whsec_';

/** How long the secret before signs beside the new one, ms. */
export const PREVIOUS_SECRET_MS = 24 * 3_600_000;

/**
 * The secret of a webhook. It is kept nowhere: it follows from a key of the service, the webhook's id and how often it was rotated.
 * @param key for nothing else
 */
export function webhookSecret(key: Uint8Array, id: string, no: number): string {
  return PREFIX + createHmac('sha256', key).update(`${id}.${no}`).digest('base64');
}

/** By which it is noticed that the key has changed. */
export function hashOfSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

/** @param at s since 1970 @param secrets the new one first */
export function signatureHeaders(
  id: string,
  at: number,
  body: Uint8Array,
  secrets: readonly string[],
): Record<string, string> {
  const signature = secrets.map((secret) => `v1,${sign(secret, id, at, body)}`).join(' ');
  return { 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': signature };
}

function sign(secret: string, id: string, at: number, body: Uint8Array): string {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  return createHmac('sha256', key).update(`${id}.${at}.`).update(body).digest('base64');
}

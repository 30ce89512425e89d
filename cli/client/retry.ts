import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_MS = 200;
const MOST_MS = 10_000;

/**
 * Exponential backoff, half of it random (“equal jitter”): many clients that failed together must not come back together, and
 * none comes back at once.
 */
export function retryDelay(attempt: number, random: number): number {
  return Math.round(Math.min(MOST_MS, FIRST_MS * 2 ** (attempt - 1)) * (0.5 + random / 2));
}

export interface RetryRule {
  tries: number;
  /** May this failure pass? */
  again: (error: unknown, attempt: number) => boolean;
  signal: AbortSignal;
}

/** Does the work until it succeeds, cannot succeed, or has been tried often enough; then throws the last failure. */
export async function withRetries<T>(rule: RetryRule, work: (attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    rule.signal.throwIfAborted();
    try {
      return await work(attempt);
    } catch (error) {
      if (rule.signal.aborted || attempt >= rule.tries || !rule.again(error, attempt)) throw error;
      await sleep(retryDelay(attempt, Math.random()), undefined, { signal: rule.signal });
    }
  }
}

const NO_CONNECTION = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN']);
const LOST_CONNECTION = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'ERR_STREAM_PREMATURE_CLOSE']);

/** The connection failed; `sent` tells whether the request may have arrived. */
export function connectionFailure(error: unknown): { sent: boolean } | null {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string') return null;
  if (NO_CONNECTION.has(code)) return { sent: false };
  return LOST_CONNECTION.has(code) ? { sent: true } : null;
}

import { setTimeout as sleep } from 'node:timers/promises';
import { within } from './background.ts';
import { StoreError } from './core/errors.ts';
import type { StoreId } from './core/store-identity.ts';
import { StoreRefusedError } from './usecases/identify-store.ts';
import type { Log } from './usecases/services.ts';

const RETRY_MS = 5_000;

/** Whether it is known that the store is the registry's. Until then nothing is written to it, nor removed. */
export interface StoreIdentification {
  /** Null: not yet. */
  id(): StoreId | null;
  /** @throws StoreError unavailable */
  assertOwned(): void;
  /** @param patience how long it may take, ms; null: as long as it does @throws StoreRefusedError */
  begin(patience: number | null): Promise<void>;
  /** Settled when storage did not say it in the time that `begin` gave it. */
  readonly unanswered: Promise<void>;
  /** Goes on until it is known, or it is known that it is not, or the signal says so. */
  settle(signal: AbortSignal): Promise<void>;
  /** Settled when the store turned out, after `begin`, not to be the registry's. */
  readonly refused: Promise<StoreRefusedError>;
}

/** @param identify throws StoreRefusedError, or anything when storage did not say @param retryAfter ms */
export function storeIdentification(
  identify: () => Promise<StoreId>,
  log: Log,
  retryAfter = RETRY_MS,
): StoreIdentification {
  const refusal = Promise.withResolvers<StoreRefusedError>();
  const unanswered = Promise.withResolvers<void>();
  let id: StoreId | null = null;
  let attempt: Promise<void> | null = null;
  let last: unknown = null;

  async function ask(): Promise<void> {
    try {
      id = await identify();
    } catch (error) {
      last = error;
      if (error instanceof StoreRefusedError) throw error;
    } finally {
      attempt = null;
    }
  }

  return {
    id: () => id,
    refused: refusal.promise,
    unanswered: unanswered.promise,
    assertOwned() {
      if (id !== null) return;
      const why = last instanceof Error ? ` (${last.message})` : '';
      throw new StoreError('unavailable', `It is not known yet whether the store belongs to this registry${why}.`, {});
    },
    async begin(patience) {
      attempt = ask();
      // Who stops waiting is told by `settle`.
      attempt.catch(() => {});
      if (patience === null || (await within(patience, attempt))) await attempt;
    },
    async settle(signal) {
      if (id === null) {
        // Not before: the service's first line is its URL.
        log.warn({ err: last }, 'storage has not said whose it is: nothing is written to it until it does');
        unanswered.resolve();
      }
      while (id === null && !signal.aborted) {
        try {
          attempt ??= ask();
          await Promise.race([attempt, aborted(signal)]);
        } catch (error) {
          if (error instanceof StoreRefusedError) refusal.resolve(error);
          return;
        }
        if (id === null) await sleep(retryAfter, undefined, { signal }).catch(() => {});
      }
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError } from '../../errors.ts';
import { type Asked, mayHaveArrived, mayPass, sayFailure } from './failure-rules.ts';

const FIRST_MS = 200;
const MOST_MS = 10_000;

/**
 * Exponential backoff, half of it random (“equal jitter”): many clients that failed together must not come back together, and
 * none comes back at once.
 */
export function retryDelay(attempt: number, random: number): number {
  return Math.round(Math.min(MOST_MS, FIRST_MS * 2 ** (attempt - 1)) * (0.5 + random / 2));
}

/** Whoever says that it takes longer is not waited for. */
const WAIT_MOST_MS = 60_000;

/**
 * How long to wait before the next attempt: never less than was asked for (`Retry-After`), and not exactly that, for everybody who was told
 * the same. @returns ms; null: longer than anybody waits
 */
export function pauseBefore(attempt: number, random: number, error: unknown): number | null {
  const delay = retryDelay(attempt, random);
  const asked = error instanceof ApiError ? error.retryAfterMs : null;
  if (asked === null) return delay;
  return asked > WAIT_MOST_MS ? null : Math.max(delay, asked + Math.round(random * FIRST_MS));
}

/** However many calls fail at once, people are told once in so long. */
const TELL_EVERY_MS = 10_000;

/** Reports a retry: the reason, and what it waits for. */
export class RetryNotes {
  readonly #tell: (text: string) => void;
  readonly #now: () => number;
  #told = Number.NEGATIVE_INFINITY;

  constructor(tell: (text: string) => void, now: () => number = () => performance.now()) {
    this.#tell = tell;
    this.#now = now;
  }

  /** @param whom `The service at http://…` @param times how often it is retried at most */
  retrying(whom: string, error: unknown, times: number): void {
    const now = this.#now();
    if (now - this.#told < TELL_EVERY_MS) return;
    this.#told = now;
    this.#tell(`${whom} ${sayFailure(error)}: trying again, up to ${times} times.`);
  }
}

export interface RetryRule {
  tries: number;
  /** Who is asked, for the table of failures that may pass. */
  asked: () => Asked;
  /** `The service at http://…` */
  whom: string;
  notes: RetryNotes;
  signal: AbortSignal;
  /** Doing it twice is not the same as once: never again when it may have arrived. */
  once?: boolean | undefined;
}

/** Does the work until it succeeds, cannot succeed, or has been tried often enough; then throws the last failure. */
export async function withRetries<T>(rule: RetryRule, work: (attempt: number) => Promise<T>): Promise<T> {
  const { tries, asked, whom, notes, signal, once } = rule;
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      return await work(attempt);
    } catch (error) {
      const again = mayPass(error, asked()) && !(once && mayHaveArrived(error));
      const pause = pauseBefore(attempt, Math.random(), error);
      if (signal.aborted || attempt >= tries || !again || pause === null) throw error;
      if (attempt === 1) notes.retrying(whom, error, tries - 1);
      await sleep(pause, undefined, { signal });
    }
  }
}

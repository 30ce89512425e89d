/** How slowly a body may come: below `bytesPerSecond` for `patienceMs` of waiting, all in all. */
export interface PaceRule {
  bytesPerSecond: number;
  patienceMs: number;
}

/**
 * Measures how fast a body comes. Patience is used up while the service waits for bytes, and bytes give it back, never more
 * than there was at the start. Time in which nobody waits, because storage is slow, does not count.
 */
export class Pace {
  readonly #rule: PaceRule;
  readonly #clock: () => number;
  #patienceMs: number;
  #since: number | null = null;

  /** @param clock ms, never going back */
  constructor(rule: PaceRule, clock: () => number = () => performance.now()) {
    this.#rule = rule;
    this.#clock = clock;
    this.#patienceMs = rule.patienceMs;
  }

  /** From now on the next bytes are waited for. */
  wait(): void {
    this.#since = this.#clock();
  }

  /** They came. */
  take(bytes: number): void {
    const earned = (bytes / this.#rule.bytesPerSecond) * 1_000;
    this.#patienceMs = Math.min(this.#rule.patienceMs, this.patienceLeftMs() + earned);
    this.#since = null;
  }

  get isWaiting(): boolean {
    return this.#since !== null;
  }

  patienceLeftMs(): number {
    return this.#since === null ? this.#patienceMs : this.#patienceMs - (this.#clock() - this.#since);
  }
}

/** How slow a body may be: below `bytesPerSecond` for `patienceMs` of waiting in total. */
export interface PaceRule {
  bytesPerSecond: number;
  patienceMs: number;
}

/**
 * Measures how fast a body arrives. Waiting uses up patience; bytes give it back, up to what there was at the start. Time in
 * which the service does not wait for bytes, because storage is slow, does not count.
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

  /** The service now waits for bytes. */
  wait(): void {
    this.#since = this.#clock();
  }

  /** Bytes arrived. */
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

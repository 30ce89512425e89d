/**
 * At most `limit` resources, each made when it is first needed; every user gives its resource back. Users are served in
 * the order in which they asked.
 */
export class Pool<T extends object> {
  readonly #make: () => T;
  readonly #idle: T[] = [];
  readonly #waiting: Array<{ resolve: (thing: T) => void; reject: (reason: unknown) => void }> = [];
  #unmade: number;
  #ended: { reason: unknown } | null = null;

  constructor(limit: number, make: () => T) {
    this.#unmade = limit;
    this.#make = make;
  }

  /** @throws the reason for which the pool has ended */
  async take(): Promise<T> {
    if (this.#ended !== null) throw this.#ended.reason;
    return this.takeNow() ?? new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Null: all are taken, or the pool has ended. */
  takeNow(): T | null {
    if (this.#ended !== null) return null;
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#unmade === 0) return null;
    this.#unmade -= 1;
    return this.#make();
  }

  give(thing: T): void {
    const next = this.#waiting.shift();
    if (next) next.resolve(thing);
    else this.#idle.push(thing);
  }

  /** Nobody gets anything any more, those who wait neither. */
  end(reason: unknown = new Error('the pool has ended')): void {
    this.#ended ??= { reason };
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended.reason);
  }
}

/** A limit on bytes per second, for work that must not be in the way of other work. */
export class ByteRate {
  readonly #bytesPerMs: number;
  #freeAt = Number.NEGATIVE_INFINITY;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1_000;
  }

  /**
   * Takes bytes that have been read. What was not used is not saved up.
   * @param now ms, of a clock that never goes back @param share of the rate that may be used at the moment, up to 1
   * @returns how long to wait before more are read, ms
   */
  take(bytes: number, now: number, share = 1): number {
    this.#freeAt = Math.max(now, this.#freeAt) + bytes / (this.#bytesPerMs * share);
    return this.#freeAt - now;
  }
}

const UNITS = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 } as const;

/** `500kB/s`, `20MB/s`, `1GB/s` in bytes per second; null for anything else, and for 0. */
export function parseByteRate(text: string): number | null {
  const match = /^(\d{1,6})(B|kB|MB|GB)\/s$/.exec(text);
  const rate = match === null ? 0 : Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
  return rate === 0 ? null : rate;
}

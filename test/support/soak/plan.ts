import { createHash } from 'node:crypto';

const KIB = 1024;
/** Numbers of large contents begin here. */
const LARGE = 1_000_000;
/** Of more than one part; bytes. */
const LARGE_MIN = 5_500 * KIB;
const LARGE_SPREAD = 1_500 * KIB;
const SMALL_MIN = 300;
const SMALL_SPREAD = 30 * KIB;
/** Numbers that one package alone has. */
const OWN = 10_000;
/** So many contents are shared at a time; with each package they move on by one, so that what nobody keeps is dropped. */
const WINDOW = 10;
const LARGE_WINDOW = 3;
/** Packages after which the large ones move on. */
const LARGE_EVERY = 6;

/** `kept`; `deleted` soon; `thinned`: what is below raw/ is removed by a file rule; `open`: never finalized, and deleted. */
export type Fate = 'kept' | 'deleted' | 'thinned' | 'open';

export const CLASSES = {
  kept: 365,
  deleted: 0,
  open: 0,
  thinned: { days: 365, files: [{ path: 'raw/**', days: 0 }] },
} as const satisfies Record<Fate, unknown>;

export interface PlannedPackage {
  externalId: string;
  fate: Fate;
  /** It is to supersede the package that has its external id. */
  isRevision: boolean;
  /** Path → number of its content. */
  files: Record<string, number>;
}

/** What pushers push: directories that overlap, by a seed. */
export class Plan {
  readonly #random: () => number;
  readonly #seed: number;
  readonly #kept = new Map<number, string>();
  #count = 0;
  #hasRevision = false;

  constructor(seed: number, random: () => number) {
    this.#seed = seed;
    this.#random = random;
  }

  next(pusher: number): PlannedPackage {
    const n = this.#count;
    this.#count += 1;
    const before = this.#kept.get(pusher);
    // One revision soon, others by chance.
    const mustRevise = before !== undefined && !this.#hasRevision;
    const fate = mustRevise ? 'kept' : this.#fate(n);
    const shared = this.#some(n, WINDOW, fate === 'kept' ? 2 : 2 + this.#below(5));
    const own = Array.from({ length: 1 + this.#below(2) }, (_, index) => OWN + n * 10 + index);
    const hasLarge = this.#random() < (fate === 'kept' ? 0.1 : 0.4);
    const large = hasLarge ? this.#some(LARGE + Math.floor(n / LARGE_EVERY), LARGE_WINDOW, 1) : [];
    const numbers = [...shared, ...own, ...large];
    const files = Object.fromEntries(numbers.map((of, at) => [`${at % 2 === 0 ? 'raw' : 'kept'}/${at}.bin`, of]));
    const isRevision = mustRevise || (fate === 'kept' && before !== undefined && this.#random() < 0.5);
    this.#hasRevision ||= isRevision;
    const externalId = isRevision && before !== undefined ? before : `run-${pusher}-${n}`;
    if (fate === 'kept') this.#kept.set(pusher, externalId);
    return { externalId, fate, isRevision, files };
  }

  /** The same number, the same bytes. Some compress well, some not at all. */
  bytesOf(number: number): Buffer {
    const size =
      number >= LARGE ? LARGE_MIN + ((number * 7_919) % LARGE_SPREAD) : SMALL_MIN + ((number * 7_919) % SMALL_SPREAD);
    const compresses = number % 3 === 0;
    const bytes = createHash('shake256', { outputLength: compresses ? 256 : size })
      .update(`${this.#seed} ${number}`)
      .digest();
    return compresses ? Buffer.alloc(size, bytes.toString('hex')) : bytes;
  }

  /** The first ones have each fate once: a short soak has them all. */
  #fate(n: number): Fate {
    const first = (['deleted', 'thinned', 'kept', 'open'] as const)[n];
    if (first !== undefined) return first;
    const at = this.#random();
    if (at < 0.55) return 'deleted';
    if (at < 0.75) return 'thinned';
    return at < 0.95 ? 'kept' : 'open';
  }

  #some(from: number, window: number, count: number): number[] {
    const left = Array.from({ length: window }, (_, index) => from + index);
    return Array.from({ length: count }, () => left.splice(this.#below(left.length), 1)[0] as number);
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

/** Lets `limit` of those who ask run at a time, in the order they asked. */
export class Slots {
  #free: number;
  readonly #waiting: Array<() => void> = [];

  constructor(limit: number) {
    this.#free = limit;
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}

/** Tells when so many things are done, or that no more will be. */
export class Countdown {
  readonly done: Promise<void>;
  #left: number;
  #end: () => void = () => {};

  constructor(count: number) {
    this.#left = count;
    this.done = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.less(0);
  }

  less(count: number): void {
    this.#left -= count;
    if (this.#left <= 0) this.#end();
  }

  end(): void {
    this.#end();
  }
}

/**
 * Does the work for every item, `limit` at a time. After a failure nothing new begins, and the failure is thrown once
 * everything that had begun has ended: nothing continues behind the caller's back.
 */
export async function forEachLimit<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  try {
    for await (const item of items) {
      if (failures.length > 0) break;
      const task: Promise<void> = work(item)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => running.delete(task));
      running.add(task);
      if (running.size >= limit) await Promise.race(running);
    }
  } finally {
    await Promise.all(running);
  }
  if (failures.length > 0) throw failures[0];
}

/** Lists of at most `size`. */
export function chunks<T>(items: readonly T[], size: number): T[][] {
  const lists: T[][] = [];
  for (let start = 0; start < items.length; start += size) lists.push(items.slice(start, start + size));
  return lists;
}

/**
 * Splits items into lists, in order, each with at most so much of everything that is counted; an item above the limit
 * gets its own list.
 * @param weigh how much of each an item is
 */
export function* cut<T, Counted extends string>(
  items: Iterable<T>,
  most: Record<Counted, number>,
  weigh: (item: T) => Record<Counted, number>,
): Generator<T[]> {
  const counted = Object.keys(most) as Counted[];
  let list: T[] = [];
  const held = { ...most };
  const begin = (): void => {
    list = [];
    for (const name of counted) held[name] = 0;
  };
  begin();
  for (const item of items) {
    const weight = weigh(item);
    if (list.length > 0 && counted.some((name) => held[name] + weight[name] > most[name])) {
      yield list;
      begin();
    }
    list.push(item);
    for (const name of counted) held[name] += weight[name];
  }
  if (list.length > 0) yield list;
}

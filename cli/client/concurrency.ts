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
 * Does the work for every item, `limit` at a time. After a failure nothing new begins, and it is thrown when all that
 * had begun has ended: nothing goes on behind the caller's back.
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

/** Lists, in order, of at most so many items and so many bytes together; an item that is larger is a list of its own. */
export function* cut<T>(
  items: Iterable<T>,
  most: { items: number; bytes: number },
  bytesOf: (item: T) => number,
): Generator<T[]> {
  let list: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const more = bytesOf(item);
    if (list.length > 0 && (list.length >= most.items || bytes + more > most.bytes)) {
      yield list;
      list = [];
      bytes = 0;
    }
    list.push(item);
    bytes += more;
  }
  if (list.length > 0) yield list;
}

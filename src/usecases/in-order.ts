/**
 * Maps with at most `limit` calls in flight, and yields the results in the order of the items. After a failure no further call
 * begins, and it is thrown in its turn, when those that are under way have ended.
 */
export async function* inOrder<In, Out>(
  items: AsyncIterable<In>,
  limit: number,
  map: (item: In) => Promise<Out>,
): AsyncGenerator<Out, void, undefined> {
  const running: Array<Promise<Out>> = [];
  try {
    for await (const item of items) {
      if (running.length === limit) yield await (running.shift() as Promise<Out>);
      const result = map(item);
      // Awaited in its turn.
      result.catch(() => {});
      running.push(result);
    }
    for (let next = running.shift(); next !== undefined; next = running.shift()) yield await next;
  } finally {
    await Promise.allSettled(running);
  }
}

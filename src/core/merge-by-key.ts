/**
 * Walks two lists that are each in the order of their keys side by side, holding one item of each.
 * @returns for each key what either list has under it
 */
export async function* mergeByKey<Left extends { key: string }, Right extends { key: string }>(
  left: AsyncIterable<Left>,
  right: AsyncIterable<Right>,
): AsyncGenerator<{ left: Left | null; right: Right | null }> {
  const [lefts, rights] = [left[Symbol.asyncIterator](), right[Symbol.asyncIterator]()];
  try {
    let [a, b] = await Promise.all([lefts.next(), rights.next()]);
    while (!a.done || !b.done) {
      if (b.done || (!a.done && a.value.key < b.value.key)) {
        yield { left: a.value as Left, right: null };
        a = await lefts.next();
      } else if (a.done || b.value.key < a.value.key) {
        yield { left: null, right: b.value };
        b = await rights.next();
      } else {
        yield { left: a.value, right: b.value };
        [a, b] = await Promise.all([lefts.next(), rights.next()]);
      }
    }
  } finally {
    await Promise.all([lefts.return?.(), rights.return?.()]);
  }
}

/** The first of the items that have at most so many bytes together; the very first one, however large. */
export function fitting<Item>(items: readonly Item[], bytesOf: (item: Item) => number, max: number): Item[] {
  let bytes = 0;
  const end = items.findIndex((item, index) => {
    bytes += bytesOf(item);
    return index > 0 && bytes > max;
  });
  return items.slice(0, end === -1 ? items.length : end);
}

/** One page of a list of `/v1`. */
interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

const PAGE_MAX = 1_000;

/** The first `limit` items of a list, read page by page; `next_cursor` is null when there are no more. */
export async function readPages<T>(
  limit: number,
  read: (page: { limit: number; cursor?: string }) => Promise<Page<T>>,
): Promise<Page<T>> {
  const items: T[] = [];
  let cursor: string | undefined;
  for (;;) {
    const page = await read({ limit: Math.min(PAGE_MAX, limit - items.length), cursor });
    for (const item of page.items) items.push(item);
    cursor = page.next_cursor ?? undefined;
    if (cursor === undefined || items.length >= limit) return { items, next_cursor: page.next_cursor };
  }
}

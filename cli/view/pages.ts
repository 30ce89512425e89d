import { notAStore } from '../client/api/not-a-store.ts';
import { type Page, pagesOf } from '../client/api/pages.ts';

/** Of packages, whose metadata may be large, so many at a time. */
const PAGE_MAX = 100;
/** Whatever a list says, so many are read of it at most: they are all in memory. */
const ITEMS_MAX = 1_000_000;

/** The first `limit` items of a list, read page by page; `next_cursor` is null when there are no more. */
export async function readPages<T>(
  url: string,
  limit: number,
  read: (page: { limit: number; cursor?: string | undefined }) => Promise<Page<T>>,
): Promise<Page<T>> {
  const items: T[] = [];
  const next = (cursor: string | undefined) => read({ limit: Math.min(PAGE_MAX, limit - items.length), cursor });
  for await (const page of pagesOf(url, next)) {
    for (const item of page.items) items.push(item);
    if (items.length > ITEMS_MAX) throw notAStore(url, `its list does not end after ${ITEMS_MAX} items`);
    if (items.length >= limit) return { items, next_cursor: page.next_cursor };
  }
  return { items, next_cursor: null };
}

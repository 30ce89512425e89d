import { notAStore } from './not-a-store.ts';

/** One page of a list of `/v1`. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/**
 * A list, page by page: each next one is asked for when the one before was used.
 * @throws CliError when the list makes no progress: a cursor that came before, or a page without items that is not the last
 */
export async function* pagesOf<T>(
  url: string,
  read: (cursor: string | undefined) => Promise<Page<T>>,
): AsyncGenerator<Page<T>> {
  const seen = new Set<string>();
  for (let cursor: string | undefined; ; ) {
    const page = await read(cursor);
    yield page;
    if (page.next_cursor === null) return;
    if (page.items.length === 0) throw notAStore(url, 'a page of its list is empty and not the last');
    if (seen.has(page.next_cursor)) throw notAStore(url, 'its list goes in circles (next_cursor comes twice)');
    seen.add(page.next_cursor);
    cursor = page.next_cursor;
  }
}

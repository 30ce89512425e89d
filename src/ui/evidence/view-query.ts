import type { LinePlace } from '../../usecases/view-text.ts';

/** How a file is looked at, as the query of its page says. */
export interface ViewQuery {
  /** What is searched for; null: nothing. */
  sought: string | null;
  /** The line to go to; null: none. */
  line: number | null;
  /** Where the page begins. */
  from: LinePlace;
  /** As it stands: not indented, and of what is active its text. */
  source: boolean;
  /** In the browser's own reader, which may run what the file says. */
  reader: boolean;
}

const SOUGHT_MAX = 200;
const NUMBER = /^(?:0|[1-9]\d{0,15})$/;

/** Whoever writes a query by hand gets the beginning for what is no number: nothing here is an error. */
export function viewQuery(query: URLSearchParams): ViewQuery {
  const number = (name: string): number | null => {
    const text = query.get(name) ?? '';
    return NUMBER.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : null;
  };
  const sought = (query.get('q') ?? '').slice(0, SOUGHT_MAX).toWellFormed();
  const line = number('line');
  return {
    sought: sought === '' ? null : sought,
    line: line === null || line < 1 ? null : line,
    from: { at: number('at') ?? 0, line: Math.max(1, number('from') ?? 1) },
    source: query.get('view') === 'source',
    reader: query.get('view') === 'reader',
  };
}

import type { FoundFile } from '../../src/api/types.ts';
import type { FindQuery } from '../client/find-query.ts';
import { formatTime, printable, table } from '../format.ts';

/** The oldest package first, as they come. */
export function foundTable(query: FindQuery, files: readonly FoundFile[]): string {
  if (files.length === 0) {
    return 'digest' in query
      ? `No package has a file with the digest ${query.digest}.`
      : `No package has a file called ${printable(JSON.stringify(query.name))}.`;
  }
  return table([['PACKAGE', 'STATE', 'SINCE', 'CHECKED', 'PRODUCER', 'PATH'], ...files.map(rowOf)]);
}

function rowOf({ package_id, state, since, checked_at, producer, path }: FoundFile): string[] {
  const checked =
    state === 'stored' && checked_at === null ? 'not since' : checked_at === null ? '-' : formatTime(checked_at);
  return [package_id, state, formatTime(since), checked, producer, path];
}

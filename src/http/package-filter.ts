import type * as z from 'zod/mini';
import type { ListPackages } from '../api/package-requests.ts';
import { StoreError } from '../core/errors.ts';
import { idFloor } from '../core/ids.ts';
import type { PackageFilter } from '../usecases/records.ts';

const METADATA_PREFIX = 'metadata.';
const METADATA_FILTERS_MAX = 8;

/**
 * What a query asks of a list of packages. @param last id of the last package of the page before; left out: the first page
 * @throws StoreError invalid_request
 */
export function packageFilter(query: z.infer<typeof ListPackages>, last?: string): PackageFilter {
  const { producer, subject, external_id, status, retention_class, created_after, created_before, ...rest } = query;
  const { limit: _limit, cursor: _cursor, ...others } = rest as Record<string, string>;
  const metadata = new Map<string, string>();
  for (const [name, value] of Object.entries(others)) {
    if (!name.startsWith(METADATA_PREFIX)) {
      throw new StoreError(
        'invalid_request',
        `The query has the unknown field ${JSON.stringify(name.slice(0, 100))}.`,
        {
          errors: [{ field: name.slice(0, 100).toWellFormed(), message: 'is not known' }],
        },
      );
    }
    metadata.set(name.slice(METADATA_PREFIX.length), value);
  }
  if (metadata.size > METADATA_FILTERS_MAX) {
    throw new StoreError('invalid_request', `At most ${METADATA_FILTERS_MAX} metadata filters are accepted.`);
  }
  return {
    producer,
    subject,
    external_id,
    status,
    retention_class,
    metadata,
    // Ids sort by the time of creation.
    atLeast: created_after === undefined ? undefined : idFloor('pkg', Date.parse(created_after) + 1),
    below: smaller(created_before === undefined ? undefined : idFloor('pkg', Date.parse(created_before)), last),
  };
}

function smaller(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b < a ? b : a;
}

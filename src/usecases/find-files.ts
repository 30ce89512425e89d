import { StoreError } from '../core/errors.ts';
import type { FileSearch } from '../core/file-search.ts';
import type { FoundPlace, FoundRecord } from '../registry/find-files.ts';
import type { Caller, Services } from './services.ts';

/** What has become of a file's bytes. `damaged`: nothing that storage has of them is known to be right. */
export type FoundState = 'stored' | 'missing' | 'damaged' | 'deleted';

export interface FoundFile extends FoundRecord {
  state: FoundState;
  /** When the package has it since, ms: when it was finalized, or as long as it is not, when it was made. */
  since: number;
  /** When the object that has its bytes was last read whole and found right, ms; null: not since the package has it. */
  checked_at: number | null;
}

/**
 * Files of the packages that the caller may read, the oldest package first; deleted ones too.
 * @throws StoreError invalid_request: the beginning of a name is looked for by a caller who may not read everything
 */
export async function findFiles(
  { registry }: Services,
  { reads }: Caller,
  search: FileSearch,
  after: FoundPlace | null,
  limit: number,
): Promise<{ files: FoundFile[]; more: boolean }> {
  if ('from' in search && !('all' in reads)) {
    // It would take as long as there are such names, whoever's they are.
    throw new StoreError(
      'invalid_request',
      'A token that is limited to producers finds whole names: write it without *.',
      {
        errors: [{ field: 'name', message: 'has a *, for which the token must not be limited to producers' }],
      },
    );
  }
  const found = await registry.read.files.find(reads, search, after, limit + 1);
  return { files: found.slice(0, limit).map(asFound), more: found.length > limit };
}

function asFound(record: FoundRecord): FoundFile {
  const since = record.finalized_at ?? record.created_at;
  const state = stateOf(record);
  // What was read before says that others have the same bytes, and had them first: nobody is told (invariant 7).
  const checked = state === 'stored' && record.good_at !== null && record.good_at >= since;
  return { ...record, state, since, checked_at: checked ? record.good_at : null };
}

function stateOf({ status, deleted_at, proven, lost, held, size }: FoundRecord): FoundState {
  if (status === 'deleted' || deleted_at !== null) return 'deleted';
  if (!proven) return 'missing';
  if (size === 0) return 'stored';
  // What failed needs nothing: a sweep may have freed it.
  if (status === 'failed' && !held) return 'missing';
  return lost || !held ? 'damaged' : 'stored';
}

import type { ExecutionContext } from 'ava';
import type { BlobStore } from '../../src/blobs/blob-store.ts';
import type { Spool } from '../../src/blobs/spool.ts';

/** What a backend brings along. Its signed URLs must be reachable from here. */
export interface BlobStoreHarness {
  store: BlobStore;
  /** Spools to where the store's `deliverPart` can take files from. */
  spool: Spool;
  close(): Promise<void>;
}

/** What not every backend can do. */
export const GUARANTEES = [
  'part_digest_enforced',
  'completion_exclusive',
  'object_overwrite_refused',
  'download_range_enforced',
] as const;
export type GuaranteeName = (typeof GUARANTEES)[number];

/** Declares a case, for one backend. */
export type Check = (
  title: string,
  body: (t: ExecutionContext, harness: BlobStoreHarness) => Promise<void>,
  options?: { needs?: GuaranteeName; alone?: boolean },
) => void;

import { type Digest, digestFromBytes } from '../core/digest.ts';
import type { Encoding } from '../core/frame-table.ts';
import type { ObjectState } from '../core/object-state.ts';

/** What holds bytes of files; or what belongs to one package alone, is needed as long as it is remembered, and never swept. */
export type ObjectKind = 'blob' | 'pack' | 'manifest' | 'attestation';
/** A condition: the object holds bytes of files. */
export const HOLDS_FILES = `kind in ('blob', 'pack')`;

/** An object in storage, as the registry knows it. */
export interface ObjectRecord {
  id: string;
  kind: ObjectKind;
  key: string;
  version_id: string | null;
  digest: Digest;
  size: number;
  encoding: Encoding;
  /** Of the bytes that storage has. */
  stored_size: number;
  /** Null: those are the content, and have its digest. */
  stored_digest: Digest | null;
  state: ObjectState;
  created_at: number;
}

interface Digests {
  digest: Digest;
  stored_digest: Digest | null;
}

/** What a row has of it. */
export type DigestsAsBytes<Record extends Digests> = Omit<Record, keyof Digests> & {
  digest: Buffer;
  stored_digest: Buffer | null;
};

export function withDigests<Row extends { digest: Buffer; stored_digest: Buffer | null }>(
  row: Row,
): Omit<Row, keyof Digests> & Digests {
  return {
    ...row,
    digest: digestFromBytes(row.digest),
    stored_digest: row.stored_digest && digestFromBytes(row.stored_digest),
  };
}

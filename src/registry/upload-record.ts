import { type Digest, digestFromBytes } from '../core/digest.ts';
import type { Encoding, StoredForm } from '../core/frame-table.ts';
import type { PackageId, UploadId } from '../core/ids.ts';
import type { PackMember } from '../core/pack.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { UploadFailure, UploadState } from '../core/upload-state.ts';

export interface UploadRecord {
  id: UploadId;
  /** Null: it belongs to none, as bytes that mend what is damaged, or a pack that the service writes anew. */
  package_id: PackageId | null;
  channel: 'direct' | 'service';
  kind: 'blob' | 'pack';
  digest: Digest;
  size: number;
  encoding: Encoding;
  /** Of what is sent. */
  stored_size: number;
  /** Null: what is sent is the content, and has its digest. */
  stored_digest: Digest | null;
  state: UploadState;
  key: string;
  storage_upload_id: string | null;
  owner: string | null;
  lease_until: number | null;
  completed_at: number | null;
  version_id: string | null;
  failure: UploadFailure | null;
  /** What stands under the key must be removed. */
  drop_key: boolean;
  /** And storage could not do that when it was asked. */
  drop_later: boolean;
  created_by: string;
  created_at: number;
  expires_at: number;
}

export type NewUpload = Pick<
  UploadRecord,
  'id' | 'package_id' | 'channel' | 'digest' | 'size' | 'key' | 'created_by' | 'created_at' | 'expires_at'
> & {
  parts: readonly PlannedPart[];
  /** Of a pack; null: a loose blob. */
  members: readonly PackMember[] | null;
  /** Null: it is sent as it is. */
  stored: StoredForm | null;
};

/** As the database gives it. */
export type UploadRow = Omit<UploadRecord, 'digest' | 'stored_digest' | 'failure' | 'drop_key' | 'drop_later'> & {
  digest: Buffer;
  stored_digest: Buffer | null;
  failure: string | null;
  drop_key: boolean | number;
  drop_later: boolean | number;
};

export function fromRow(row: UploadRow): UploadRecord {
  return {
    ...row,
    digest: digestFromBytes(row.digest),
    stored_digest: row.stored_digest && digestFromBytes(row.stored_digest),
    failure: row.failure === null ? null : (JSON.parse(row.failure) as UploadFailure),
    drop_key: Boolean(row.drop_key),
    drop_later: Boolean(row.drop_later),
  };
}

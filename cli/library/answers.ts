/** What the client answers, with the names of the HTTP API (docs/api.md): plain types, which name no other package. */

/** How far the work is. Totals may grow while files are still being found. */
export interface Progress {
  /** `hashing`, `sending`, `committing`, `verifying`, `finalizing`; `pulling`, `syncing`. */
  phase: string;
  files: number;
  totalFiles: number;
  bytes: number;
  totalBytes: number;
}

export interface PushResult {
  id: string;
  status: PackageStatus;
  /** Null: not finalized. */
  manifest_digest: string | null;
  file_count: number;
  total_size: number;
  /** The content was there already, in a finalized package. */
  reused: boolean;
  /** What had to be read. */
  read: { files: number; bytes: number };
  /** What was sent. */
  uploaded: { objects: number; bytes: number };
  /** Null: never. */
  expires_at: string | null;
  /** Null: nobody looked. */
  secret_count: number | null;
  /** The first 1,000 of them: where they stand, never what they are. */
  secrets: SecretPlace[] | null;
  seconds: number;
}

export interface SecretPlace {
  path: string;
  /** From 1 on. */
  line: number;
  kind: string;
  /** Whether `.artifact-store-secrets` accepts it. */
  accepted: boolean;
}

export interface PullResult {
  /** Written by this pull, and their bytes. */
  files: number;
  bytes: number;
  /** Of those bytes, the ones that an interrupted pull had left. */
  resumed_bytes: number;
  /** Files that were there already, with the same bytes. */
  skipped: number;
  /** Of those, the ones that lacked the executable bit and have it now. */
  made_executable: number;
  /** Files that were removed from the package when their time was over. */
  deleted: number;
  seconds: number;
}

export interface Verification {
  /** Read, damaged ones included. */
  files: number;
  bytes: number;
  /** Files that were removed from the package when their time was over. */
  deleted: number;
  /** Files whose bytes are not what the package says; none: all is well. */
  failures: Array<{ path: string; detail: string }>;
}

export type PackageStatus = 'created' | 'uploading' | 'finalized' | 'failed' | 'deleted';

export interface Package {
  /** `pkg_…` */
  id: string;
  name: string;
  producer: string;
  subject: string | null;
  external_id: string | null;
  status: PackageStatus;
  metadata: Record<string, unknown>;
  file_count: number;
  total_size: number;
  /** Files that were removed since it was finalized: `file_count` and `total_size` count them. */
  deleted_file_count: number;
  /** Bytes in storage of the objects that hold its files, which other packages may share; null until finalized. */
  stored_size: number | null;
  /** Null until finalized. */
  manifest_digest: string | null;
  retention: {
    class: string;
    /** Null: never. */
    expires_at: string | null;
    held: boolean;
    eligible: boolean;
  };
  /** Not in lists of packages. */
  file_rules?: FileRule[] | undefined;
  supersedes: string | null;
  superseded_by: string | null;
  /** Why it failed or was deleted. */
  reason: string | null;
  created_at: string;
  finalized_at: string | null;
  deleted_at: string | null;
}

export interface PackageFile {
  path: string;
  /** `sha256:…` */
  digest: string;
  size: number;
  media_type: string;
  mtime: string | null;
  executable: boolean;
  state: 'stored' | 'missing' | 'deleted';
  /** When it was removed from its finalized package. */
  deleted_at?: string | null | undefined;
}

export interface FileRule {
  /** A glob. */
  path: string;
  /** After the package is finalized. */
  days: number;
}

export interface Retention {
  package_id: string;
  class: string;
  /** Null: never. */
  expires_at: string | null;
  held: boolean;
  /** Whether it may be deleted now; `reason` says why. */
  eligible: boolean;
  reason: 'expired' | 'retention_active' | 'never_expires' | 'held' | 'deleted';
  holds: Hold[];
  events: RetentionEvent[];
}

export interface RetentionEvent {
  id: string;
  action: string;
  at: string;
  actor: string;
  reason: string | null;
  expires_before: string | null;
  expires_after: string | null;
}

export interface Hold {
  id: string;
  reason: string;
  reference: string | null;
  placed_by: string;
  placed_at: string;
  released_by: string | null;
  released_at: string | null;
  release_reason: string | null;
}

import type { LockMode } from '../../core/object-lock.ts';

/** What became of one request that was sent to see what storage does with it. */
export interface Trial {
  /** 0: the connection was closed without an answer. */
  status: number;
  /** S3's code, where there was one. */
  code: string;
  /** What lay in storage afterwards, where the trial was on stored bytes. */
  stored: 'nothing' | 'right' | 'other';
}

/** What a bucket says of Object Lock, and what it is asked for. */
export interface SeenLock {
  wanted: LockMode | 'off';
  /** The bucket was made with Object Lock; null: it did not say. */
  enabled: boolean | null;
  /** What it locks every new object for, in words; null: nothing. */
  byDefault: string | null;
}

/** The trials of one probe, and what they were made with. */
export interface Tried {
  /** Why the trials could not be carried out, or not to their end; null when all were. */
  problem: string | null;
  trials: Trials;
  hasUploadKey: boolean;
  /** The storage's clock minus ours, ms; null when it did not tell the time. */
  clockSkewMs: number | null;
  lock: SeenLock;
}

export type TrialName =
  | 'part'
  | 'wrong_body'
  | 'empty_body'
  | 'shorter_body'
  | 'longer_body'
  | 'copy_with_body'
  | 'copy_without_body'
  | 'other_hash'
  | 'no_hash'
  | 'expired'
  | 'get'
  | 'post'
  | 'delete'
  | 'late_part'
  | 'late_wrong_part'
  | 'late_empty_part'
  | 'late_copy'
  | 'own_part'
  | 'own_wrong_part'
  | 'own_object'
  | 'own_wrong_object'
  | 'right_checksum'
  | 'wrong_checksum'
  | 'download'
  | 'download_headers'
  | 'range'
  | 'wider_range'
  | 'no_range'
  | 'if_range_of_another'
  | 'if_range_of_old'
  | 'anonymous_read'
  | 'upload_key_read';

/** A trial that was not made proves nothing. */
export type Trials = Partial<Record<TrialName, Trial>>;

/**
 * The upload's life: `open → completing → committed`, `open → aborting → aborted`, or `failed`.
 *
 * `open → completing` and `open → aborting` are one compare-and-set in the registry, so that a Complete and an Abort
 * can never both be sent: on Ceph RGW 16.2 that race destroys the committed object, silently and later.
 */
export const UPLOAD_STATES = ['open', 'completing', 'committed', 'aborting', 'aborted', 'failed'] as const;
export type UploadState = (typeof UPLOAD_STATES)[number];

const TRANSITIONS: Record<UploadState, readonly UploadState[]> = {
  open: ['completing', 'aborting'],
  completing: ['committed', 'failed'],
  aborting: ['aborted'],
  committed: [],
  aborted: [],
  failed: [],
};

/** From these an upload still comes to an end. */
export const UNENDED_STATES = ['open', 'completing', 'aborting'] as const satisfies readonly UploadState[];
export type UnendedState = (typeof UNENDED_STATES)[number];

export function canMove(from: UploadState, to: UploadState): boolean {
  return TRANSITIONS[from].includes(to);
}

export function isFinal(state: UploadState): boolean {
  return TRANSITIONS[state].length === 0;
}

export const UPLOAD_FAILURES = [
  'upload_abandoned',
  'digest_mismatch',
  'size_mismatch',
  'invalid_pack',
  'invalid_frames',
  'no_space',
] as const;

/** Why an upload failed: `upload_abandoned` (storage gave no clean answer) or what the bytes were instead. */
export interface UploadFailure {
  code: (typeof UPLOAD_FAILURES)[number];
  detail: string;
  /** The member of a pack that is at fault; else it is the object. */
  member?: string;
  /** What was read, when the bytes were wrong. */
  actual_digest?: string;
  /** Of the stored bytes, when those were wrong; else it is the member's or the object's. */
  expected_digest?: string;
  actual_size?: number;
}

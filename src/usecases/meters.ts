import type { SweepReport } from '../core/sweep-report.ts';
import { UPLOAD_FAILURES } from '../core/upload-state.ts';

/** What an upload that was to be committed has become: committed, or the code of its failure. */
export const COMMIT_RESULTS = ['committed', ...UPLOAD_FAILURES] as const;
export type CommitResult = (typeof COMMIT_RESULTS)[number];

/** What recovery ends, in its order. */
export const RECOVERED = [
  'expiry',
  'abort',
  'completion',
  'drop',
  'finalize',
  'attestation',
  'manifest',
  'decisions',
  'receipts',
] as const;
export type Recovered = (typeof RECOVERED)[number];

/** What an attempt to send an event has come to. */
export const WEBHOOK_RESULTS = ['delivered', 'failed', 'dead'] as const;
export type WebhookResult = (typeof WEBHOOK_RESULTS)[number];

/** What use cases count for /metrics. */
export interface Meters {
  /** An upload came to its end, by a commit or by recovery. */
  committed(result: CommitResult): void;
  /** A completed object is what was planned: so many bytes in storage were read back and hashed, or storage had bound them to their digest. */
  verified(how: 'read' | 'bound', bytes: number): void;
  /** Stored bytes were found that are not what they were. */
  damaged(): void;
  /** A fixity check read an object of so many bytes in storage. */
  checked(result: 'good' | 'damaged' | 'missing' | 'unread', bytes: number): void;
  /** A sweep ended. */
  swept(report: SweepReport, result: 'done' | 'failed'): void;
  /** An attempt to send an event to a receiver ended; dead: it was the last one. */
  webhook(result: WebhookResult): void;
  /** Recovery ended something that was left half done, or is to try it again. */
  recovered(what: Recovered, result: 'done' | 'failed'): void;
}

import { canonicalJson } from './canonical-json.ts';
import type { FileRule } from './retention.ts';

/**
 * A decision on how long a package is kept, as it stands in storage beside the manifest: what the manifest cannot know, because it
 * never changes. One small object each, RFC 8785 canonical JSON, written once.
 */
export const DECISION_SCHEMA = 'artifact-store/decision/v1';

/** Files that one decision removes: a removal of more is several. */
export const FILES_PER_DECISION = 1_000;

export type DecisionAction = 'finalized' | 'extended' | 'held' | 'released' | 'deleted' | 'files_deleted';

export interface Decision {
  /** In the order in which they were made. */
  id: string;
  package_id: string;
  action: DecisionAction;
  /** RFC 3339, UTC. */
  at: string;
  actor: string;
  reason: string | null;
  /** Of `held` and `released`. */
  hold?: { id: string; reference: string | null };
  /** Of `finalized`, `extended` and `deleted`. Null: never. */
  expires_at?: string | null;
  /** Of `finalized`: the days of its class; null: it never ends. */
  retention_days?: number | null;
  /** Of `finalized`: its file rules, where it has any. */
  file_rules?: readonly FileRule[];
  /** Of `files_deleted`: the files that were removed, in the order of their paths' bytes; at most FILES_PER_DECISION. */
  paths?: readonly string[];
}

export function decisionBytes(decision: Decision): Buffer {
  return Buffer.from(canonicalJson({ ...decision, schema: DECISION_SCHEMA }));
}

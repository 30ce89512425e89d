import { canonicalJson } from './canonical-json.ts';

/**
 * A decision on how long a package is kept, as it stands in storage beside the manifest: what the manifest cannot know, because it
 * never changes. One small object each, RFC 8785 canonical JSON, written once.
 */
export const DECISION_SCHEMA = 'artifact-store/decision/v1';

export type DecisionAction = 'finalized' | 'extended' | 'held' | 'released' | 'deleted';

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
  /** Of all but those. Null: never. */
  expires_at?: string | null;
  /** Of `finalized`: the days of its class; null: it never ends. */
  retention_days?: number | null;
}

export function decisionBytes(decision: Decision): Buffer {
  return Buffer.from(canonicalJson({ ...decision, schema: DECISION_SCHEMA }));
}

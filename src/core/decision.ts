import { canonicalJson } from './canonical-json.ts';
import { type Digest, isDigest } from './digest.ts';
import { isId, type PackageId } from './ids.ts';
import { pathProblem } from './logical-path.ts';
import { parseJson } from './parse-json.ts';
import type { FileRule } from './retention.ts';

/**
 * A decision on how long a package is kept, as it stands in storage beside the manifest: what the manifest cannot know, because it
 * never changes. One small object each, RFC 8785 canonical JSON, written once.
 */
export const DECISION_SCHEMA = 'artifact-store/decision/v1';

/** Files that one decision removes: a removal of more is several. */
export const FILES_PER_DECISION = 1_000;

/** No decision has more: reasons, references, paths and file rules have bounds. */
export const DECISION_MAX_BYTES = 8 * 1024 * 1024;

const ACTIONS = ['finalized', 'extended', 'held', 'released', 'deleted', 'files_deleted'] as const;
export type DecisionAction = (typeof ACTIONS)[number];

export interface Decision {
  /** In the order in which they were made. */
  id: string;
  package_id: PackageId;
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
  /** Of `finalized`: the package's file rules; left out when it has none. */
  file_rules?: readonly FileRule[];
  /** Of `files_deleted`: the files that were removed, in the order of their paths' bytes; at most FILES_PER_DECISION. */
  paths?: readonly string[];
  /** Of `finalized`, what else the manifest does not say. Earlier versions did not write it. */
  created_by?: string;
  /** Of the manifest's bytes. */
  manifest_digest?: Digest;
  /** Bytes in storage of the objects that held its files then, each whole. */
  stored_size?: number;
}

export function decisionBytes(decision: Decision): Buffer {
  return Buffer.from(canonicalJson({ ...decision, schema: DECISION_SCHEMA }));
}

/** @returns null for what this version cannot read, or what contradicts itself */
export function parseDecision(bytes: Uint8Array): Decision | null {
  let said: unknown;
  try {
    said = parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
  } catch {
    return null;
  }
  if (typeof said !== 'object' || said === null) return null;
  const { schema, ...decision } = said as Decision & { schema: unknown };
  return schema === DECISION_SCHEMA && isDecision(decision) ? decision : null;
}

function isDecision(said: Decision): boolean {
  const { id, package_id, action, at, actor, reason, hold, expires_at } = said;
  if (typeof id !== 'string' || !isId('evt', id)) return false;
  if (typeof package_id !== 'string' || !isId('pkg', package_id)) return false;
  if (!ACTIONS.includes(action) || !isTime(at) || typeof actor !== 'string' || !isText(reason)) return false;
  if (action === 'held' || action === 'released') {
    if (action === 'held' && reason === null) return false;
    return typeof hold === 'object' && hold !== null && isId('hold', String(hold.id)) && isText(hold.reference);
  }
  if (action === 'files_deleted')
    return isListOf(said.paths, (path) => typeof path === 'string' && pathProblem(path) === null);
  return (expires_at === null || isTime(expires_at)) && (action !== 'finalized' || isFinalized(said));
}

function isListOf(value: unknown, is: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(is);
}

function isRule(value: unknown): boolean {
  const { path, days } = (value ?? {}) as Partial<FileRule>;
  return typeof path === 'string' && Number.isSafeInteger(days);
}

function isFinalized({ retention_days, file_rules, created_by, manifest_digest, stored_size }: Decision): boolean {
  return (
    (retention_days === null || Number.isSafeInteger(retention_days)) &&
    (file_rules === undefined || isListOf(file_rules, isRule)) &&
    (created_by === undefined || typeof created_by === 'string') &&
    (manifest_digest === undefined || (typeof manifest_digest === 'string' && isDigest(manifest_digest))) &&
    (stored_size === undefined || Number.isSafeInteger(stored_size))
  );
}

function isText(value: unknown): boolean {
  return value === null || typeof value === 'string';
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}

/** Whether both say the same, as far as both say it: later versions say more. */
export function agree(one: Decision, other: Decision): boolean {
  return Object.entries(one).every(([name, value]) => {
    const theirs = (other as unknown as Record<string, unknown>)[name];
    return theirs === undefined || canonicalJson(theirs) === canonicalJson(value);
  });
}

import type { JsonObject } from '../core/canonical-json.ts';
import { newId, type PackageId } from '../core/ids.ts';
import type { AuditAction } from '../registry/audit.ts';
import type { Tables } from '../registry/registry.ts';
import type { RetentionEventRecord } from '../registry/retention.ts';
import type { Caller } from './services.ts';

export interface Change {
  /** Left out: a new one. */
  id?: string;
  at: number;
  action: AuditAction;
  /** Null: it is of no package alone. */
  package_id: PackageId | null;
  subject_id?: string | null;
  reason?: string | null;
  detail?: JsonObject;
}

/** Writes the audit event of a change, in the transaction that makes the change (invariant 4). */
export function recordChange(tables: Tables, caller: Caller, change: Change): Promise<void> {
  return recordChanges(tables, caller, [change]);
}

export async function recordChanges(tables: Tables, caller: Caller, changes: readonly Change[]): Promise<void> {
  await tables.audit.addAll(
    changes.map(({ at, id = newId('evt', at), action, package_id, subject_id = null, reason = null, detail = {} }) => ({
      id,
      at,
      actor: caller.actor,
      action,
      package_id,
      subject_id,
      reason,
      detail,
    })),
  );
}

export type RetentionChange = Pick<RetentionEventRecord, 'package_id' | 'action' | 'at'> &
  Partial<Pick<RetentionEventRecord, 'reason' | 'hold_id' | 'expires_before' | 'expires_after'>>;

/**
 * Writes the retention event of a change, beside its audit event. Storage is to have it before the change is acknowledged:
 * whoever commits this goes on with `writeDecisions`. Not what is of no use there: that a package was made, and the end of one
 * that was never finalized. @param receipt of a deletion of what was finalized: the audit event that its receipt is about
 */
export async function recordRetention(
  tables: Tables,
  caller: Caller,
  change: RetentionChange,
  { finalized = true, receipt = null }: { finalized?: boolean; receipt?: string | null } = {},
): Promise<{ id: string; seq: number }> {
  const event: RetentionEventRecord = {
    reason: null,
    hold_id: null,
    expires_before: null,
    expires_after: null,
    ...change,
    id: newId('evt', change.at),
    actor: caller.actor,
  };
  const toWrite = change.action !== 'set' && (finalized || change.action !== 'deleted');
  return { id: event.id, seq: await tables.retention.addEvent(event, { toWrite, receipt }) };
}

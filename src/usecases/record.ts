import type { JsonObject } from '../core/canonical-json.ts';
import { newId, type PackageId } from '../core/ids.ts';
import type { AuditAction } from '../registry/audit.ts';
import type { Tables } from '../registry/registry.ts';
import type { RetentionEventRecord } from '../registry/retention.ts';
import type { Caller } from './services.ts';

export interface Change {
  at: number;
  action: AuditAction;
  /** Null: it is of no package alone. */
  package_id: PackageId | null;
  subject_id?: string | null;
  reason?: string | null;
  detail?: JsonObject;
}

/** Writes the audit event of a change, in the transaction that makes the change (invariant 4). */
export async function recordChange(tables: Tables, caller: Caller, change: Change): Promise<void> {
  await tables.audit.add({
    id: newId('evt', change.at),
    at: change.at,
    actor: caller.actor,
    action: change.action,
    package_id: change.package_id,
    subject_id: change.subject_id ?? null,
    reason: change.reason ?? null,
    detail: change.detail ?? {},
  });
}

export type RetentionChange = Pick<RetentionEventRecord, 'package_id' | 'action' | 'at'> &
  Partial<Pick<RetentionEventRecord, 'reason' | 'hold_id' | 'expires_before' | 'expires_after'>>;

/** Writes the retention event of a change, beside its audit event. */
export async function recordRetention(tables: Tables, caller: Caller, change: RetentionChange): Promise<void> {
  await tables.retention.addEvent({
    reason: null,
    hold_id: null,
    expires_before: null,
    expires_after: null,
    ...change,
    id: newId('evt', change.at),
    actor: caller.actor,
  });
}

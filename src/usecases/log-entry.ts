import { auditEntry, eventTime, type LoggedEvent } from '../core/audit-entry.ts';
import type { AuditRecord } from '../registry/audit.ts';

/** As `GET /v1/audit` shows it: of that the log is made. */
export function loggedEvent({
  id,
  at,
  actor,
  action,
  package_id,
  subject_id,
  reason,
  detail,
}: AuditRecord): LoggedEvent {
  return { id, at: eventTime(at), actor, action, package_id, subject_id, reason, detail };
}

/** What an event of the registry is in the log. */
export function entryOf(event: AuditRecord): Buffer {
  return auditEntry(loggedEvent(event));
}

import type { AuditFilter, AuditRecord } from '../registry/audit.ts';
import type { Caller, Services } from './services.ts';

/** Oldest first; `more` says that there is a further page. Long events make a page shorter than `limit`. */
export function listAudit(
  services: Services,
  caller: Caller,
  filter: AuditFilter,
  afterSeq: number,
  limit: number,
): Promise<{ events: AuditRecord[]; more: boolean }> {
  return services.registry.read.audit.page(filter, caller.reads, afterSeq, limit);
}

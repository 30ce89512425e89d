import type { AuditFilter, AuditRecord } from '../registry/audit.ts';
import type { Caller, Services } from './services.ts';

/** Oldest first; `more` says that there is a further page. */
export async function listAudit(
  services: Services,
  caller: Caller,
  filter: AuditFilter,
  afterSeq: number,
  limit: number,
): Promise<{ events: AuditRecord[]; more: boolean }> {
  const found = await services.registry.read.audit.list(filter, caller.reads, afterSeq, limit + 1);
  return { events: found.slice(0, limit), more: found.length > limit };
}

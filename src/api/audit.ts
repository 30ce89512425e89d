import { z } from 'zod';
import { json, list, Page, time } from './fields.ts';

export const ListAudit = z.strictObject({
  ...Page,
  package_id: z.string().optional(),
  action: z.string().optional(),
  actor: z.string().optional(),
  after: time.optional(),
});
export const AuditEvent = z.object({
  id: z.string(),
  at: time,
  actor: z.string(),
  action: z.string(),
  package_id: z.string().nullable(),
  subject_id: z.string().nullable(),
  reason: z.string().nullable(),
  detail: json,
});
export const AuditList = list(AuditEvent);

import * as z from 'zod/mini';
import { json, list, time } from './fields.ts';

export const AuditEvent = z.object({
  id: z.string(),
  at: time,
  actor: z.string(),
  action: z.string(),
  package_id: z.nullable(z.string()),
  subject_id: z.nullable(z.string()),
  reason: z.nullable(z.string()),
  detail: json,
});
export const AuditList = list(AuditEvent);

import * as z from 'zod/mini';
import { json } from './fields.ts';

export const Link = z.object({
  package_id: z.string(),
  manifest_digest: z.nullable(z.string()),
  url: z.string(),
  event: z.object({
    event_type: z.literal('artifact_link'),
    author: z.string(),
    summary: z.string(),
    workstream_id: z.optional(z.string()),
    task_id: z.optional(z.string()),
    detail: json,
  }),
});

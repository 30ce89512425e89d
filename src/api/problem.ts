import { z } from 'zod';

/** RFC 9457. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string().describe('stable; docs/errors.md lists all'),
  request_id: z.string(),
  path: z.string().optional(),
  digest: z.string().optional(),
  errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
});

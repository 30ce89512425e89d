import * as z from 'zod/mini';

/** RFC 9457. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string().check(z.describe('stable; docs/errors.md lists all')),
  request_id: z.string(),
  path: z.optional(z.string()),
  digest: z.optional(z.string()),
  errors: z.optional(z.array(z.object({ field: z.string(), message: z.string() }))),
});

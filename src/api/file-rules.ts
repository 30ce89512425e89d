import * as z from 'zod/mini';

export const FileRule = z.object({
  path: z.string().check(z.describe('a glob: * and ? within a segment, ** for any segments, [a-z], {a,b}')),
  days: z.int().check(z.minimum(0), z.describe('counted from finalized_at; of several rules for a file the most')),
});

import * as z from 'zod/mini';

export const StartSweep = z.strictObject({
  apply: z.optional(z.boolean()).check(z.describe('act; else it only says what it would do')),
  reconcile: z
    .optional(z.boolean())
    .check(z.describe('compare both sides although the store knows of packages that the registry does not')),
});

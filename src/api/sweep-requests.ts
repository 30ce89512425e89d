import * as z from 'zod/mini';
import { size } from './fields.ts';

export const StartSweep = z.strictObject({
  apply: z.optional(z.boolean()).check(z.describe('act; else it only says what it would do')),
  max_dead: z
    .optional(z.int().check(z.minimum(0), z.maximum(100)))
    .check(z.describe('packs more of whose content is dead are written anew; percent, 50 without it')),
  max_rewrite: z.optional(size).check(z.describe('most bytes that are written anew; 0: none')),
  reconcile: z
    .optional(z.boolean())
    .check(z.describe('compare both sides although the store knows of packages that the registry does not')),
});

import * as z from 'zod/mini';

export const ReceiptQuery = z.strictObject({
  decision: z
    .optional(z.string())
    .check(z.describe('id of the deletion, as GET …/retention lists it; left out: the last one')),
});

import * as z from 'zod/mini';

export const StartFixity = z
  .strictObject({
    package_id: z.optional(z.string()).check(z.describe('read what holds its files, and its manifest; left out: all')),
    sample: z
      .optional(z.number().check(z.positive(), z.maximum(100)))
      .check(z.describe('percent of the objects, by chance; left out: all of them')),
  })
  .check(
    z.refine(({ package_id, sample }) => package_id === undefined || sample === undefined, {
      message: 'takes a package or a sample, not both',
    }),
  );

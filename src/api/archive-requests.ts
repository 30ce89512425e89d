import * as z from 'zod/mini';
import { ARCHIVE_KIND_NAMES, ARCHIVE_NAMES } from '../core/archive-formats.ts';
import { globProblem } from '../core/glob.ts';

const glob = z.string().check(
  z.superRefine((text, ctx) => {
    const problem = globProblem(text);
    if (problem !== null) ctx.addIssue({ code: 'custom', message: problem });
  }),
);

export const ArchiveQuery = z.strictObject({
  format: z._default(z.enum(ARCHIVE_KIND_NAMES), 'tar'),
  path: z.optional(glob).check(z.describe('a glob, such as reports/** or {a,b}/*.xml; if omitted, all files')),
  names: z
    ._default(z.enum(ARCHIVE_NAMES), 'exact')
    .check(z.describe('portable: names that Windows can hold; the archive lists those that were changed')),
});

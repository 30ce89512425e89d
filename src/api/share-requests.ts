import * as z from 'zod/mini';
import { TEXT_MAX } from '../core/text-problem.ts';
import { path, time } from './fields.ts';
import { Page, reason, text } from './request-fields.ts';

export const CreateShare = z
  .strictObject({
    path: z.optional(path).check(z.describe('of the one file that it shows; left out: the whole package')),
    note: z.optional(text(TEXT_MAX.description)),
    expires_at: z.optional(time),
    expires_in: z
      .optional(z.int().check(z.minimum(1), z.maximum(Number.MAX_SAFE_INTEGER)))
      .check(z.describe('seconds from now; without either a week')),
  })
  .check(
    z.refine((body) => body.expires_at === undefined || body.expires_in === undefined, {
      message: 'give either expires_at or expires_in',
      path: ['expires_at'],
    }),
  );

export const ListShares = z.strictObject(Page);

export const RevokeShare = z.optional(z.strictObject({ reason: z.optional(reason) }));

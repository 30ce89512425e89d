import * as z from 'zod/mini';
import { FILES_PER_DECISION } from '../core/decision.ts';
import { path } from './fields.ts';
import { many, reason } from './request-fields.ts';

export const DeleteFiles = z.strictObject({
  paths: many(path, FILES_PER_DECISION, 1),
  reason,
  check: z.optional(z.boolean()).check(z.describe('only say whether all of them may be removed now')),
});

/** What DELETE of one file takes: of a finalized package the reason is required. */
export const DeleteFile = z.strictObject({ reason: z.optional(reason) });

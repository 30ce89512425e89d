import * as z from 'zod/mini';
import { PACKAGE_STATUSES } from '../core/package-state.ts';
import { list, size, time } from './fields.ts';
import { FileRule } from './file-rules.ts';

export const RetentionClassList = z.object({
  items: z.array(
    z.object({
      name: z.string(),
      days: z.nullable(z.int()).check(z.describe('null: never')),
      files: z.optional(z.array(FileRule)).check(z.describe('files that are kept less long; if omitted, none')),
      default: z.boolean(),
    }),
  ),
});

export const Eligible = z.object({
  package_id: z.string(),
  name: z.string(),
  producer: z.string(),
  status: z.enum(PACKAGE_STATUSES),
  retention_class: z.string(),
  expires_at: time.check(z.describe('of the package; with files, when the first of them could be removed')),
  reason: z
    .string()
    .check(z.describe('expired: the package may be deleted; files_expired: some of its files may be removed')),
  total_size: size,
  files: z
    .optional(z.nullable(z.object({ count: size, bytes: size })))
    .check(z.describe('that may be removed; null: the whole package may be deleted')),
});
export const EligibleList = list(Eligible);

export const Hold = z.object({
  id: z.string(),
  reason: z.string(),
  reference: z.nullable(z.string()),
  placed_by: z.string(),
  placed_at: time,
  released_by: z.nullable(z.string()),
  released_at: z.nullable(time),
  release_reason: z.nullable(z.string()),
});

export const RetentionEvent = z.object({
  id: z.string(),
  action: z.string(),
  at: time,
  actor: z.string(),
  reason: z.nullable(z.string()),
  expires_before: z.nullable(time),
  expires_after: z.nullable(time),
});

export const Retention = z.object({
  package_id: z.string(),
  class: z.string(),
  expires_at: z.nullable(time),
  held: z.boolean(),
  eligible: z.boolean(),
  reason: z.enum(['expired', 'retention_active', 'never_expires', 'held', 'deleted']),
  holds: z.array(Hold),
  events: z.array(RetentionEvent),
});

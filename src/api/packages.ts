import * as z from 'zod/mini';
import { PACKAGE_STATUSES } from '../core/package-state.ts';
import { json, list, size, time } from './fields.ts';
import { FileRule } from './file-rules.ts';

export const Package = z.object({
  id: z.string(),
  name: z.string(),
  producer: z.string(),
  subject: z.nullable(z.string()),
  external_id: z.nullable(z.string()),
  status: z.enum(PACKAGE_STATUSES),
  metadata: json,
  file_count: size,
  total_size: size,
  deleted_file_count: z
    // Versions before do not say it.
    ._default(size, 0)
    .check(z.describe('files that were removed since it was finalized: file_count and total_size count them')),
  stored_size: z
    // Version 0.1.0 does not say it.
    ._default(z.nullable(size), null)
    .check(
      z.describe(
        'bytes in storage of the objects that hold its files, which other packages may share; null until finalized',
      ),
    ),
  manifest_digest: z.nullable(z.string()),
  retention: z.object({
    class: z.string(),
    expires_at: z.nullable(time).check(z.describe('null: never')),
    held: z.boolean(),
    eligible: z.boolean(),
  }),
  file_rules: z
    .optional(z.array(FileRule))
    .check(z.describe('files that need not be kept as long as the package; not in lists of packages')),
  supersedes: z.nullable(z.string()),
  superseded_by: z.nullable(z.string()),
  reason: z.nullable(z.string()).check(z.describe('why it failed or was deleted')),
  created_at: time,
  finalized_at: z.nullable(time),
  deleted_at: z.nullable(time),
});

export const PackageList = list(Package);

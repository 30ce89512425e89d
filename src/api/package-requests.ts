import * as z from 'zod/mini';
import { FILE_RULE_DAYS_MAX, FILE_RULES_MAX } from '../core/file-rules.ts';
import { PATH_MAX_BYTES } from '../core/logical-path.ts';
import { PACKAGE_STATUSES } from '../core/package-state.ts';
import { SECRET_KINDS_MAX, SECRET_PLACES_MAX } from '../core/secret-record.ts';
import { TEXT_MAX } from '../core/text-problem.ts';
import { json, size, time } from './fields.ts';
import { many, text } from './request-fields.ts';

export const CreatePackage = z.strictObject({
  name: text(TEXT_MAX.name),
  producer: text(TEXT_MAX.producer),
  subject: z.optional(text(TEXT_MAX.subject)),
  external_id: z.optional(text(TEXT_MAX.externalId)),
  retention_class: z
    .optional(z.string().check(z.maxLength(128)))
    .check(z.describe('one of GET /v1/retention/classes; default raw-evidence')),
  file_rules: z
    .optional(
      many(
        z.strictObject({
          path: z.string().check(z.minLength(1), z.maxLength(1_024)),
          days: z.int().check(z.minimum(0), z.maximum(FILE_RULE_DAYS_MAX)),
        }),
        FILE_RULES_MAX,
      ),
    )
    .check(z.describe('files that need not be kept as long as the package, besides those that its class names')),
  metadata: z.optional(json).check(z.describe('at most 256 KiB as canonical JSON, 32 levels deep')),
  supersedes: z.optional(z.string()).check(z.describe('the id of the package that this one revises')),
});

export const ListPackages = z
  .catchall(
    z.object({
      producer: z.optional(z.string()),
      subject: z.optional(z.string()),
      external_id: z.optional(z.string()),
      status: z.optional(z.enum(PACKAGE_STATUSES)).check(z.describe('if omitted, deleted packages are not listed')),
      retention_class: z.optional(z.string()),
      created_after: z.optional(time),
      created_before: z.optional(time),
    }),
    z.string(),
  )
  .check(z.describe('metadata.<dotted key>=<value> filters by a scalar of the metadata'));

export const LinkQuery = z.strictObject({
  author: z.optional(text(TEXT_MAX.author)),
  workstream_id: z.optional(text(TEXT_MAX.author)),
  task_id: z.optional(text(TEXT_MAX.author)),
});

const secretKind = z.string().check(z.regex(/^[a-z0-9-]{1,64}$/));

export const Finalize = z.strictObject({
  file_count: z.optional(size),
  total_size: z.optional(size),
  files_digest: z
    .optional(z.string())
    .check(z.describe('of the list that GET …/manifest?format=sha256sum will return')),
  secrets: z
    .optional(
      z.strictObject({
        count: z.int().check(z.minimum(1)),
        accepted: z.int().check(z.minimum(0)),
        by: z
          .record(secretKind, z.int().check(z.minimum(1)))
          .check(
            z.refine((by) => Object.keys(by).length <= SECRET_KINDS_MAX, `has more than ${SECRET_KINDS_MAX} kinds`),
          ),
        places: many(
          z.strictObject({
            path: z.string().check(z.maxLength(PATH_MAX_BYTES)),
            line: z.int().check(z.minimum(1)),
            kind: secretKind,
            accepted: z.boolean(),
          }),
          SECRET_PLACES_MAX,
        ),
      }),
    )
    .check(z.describe('secrets that the producer found in the files: recorded as metadata.secret_findings')),
});

import { z } from 'zod';
import { PACKAGE_STATUSES } from '../core/package-state.ts';
import { TEXT_MAX } from '../core/text-problem.ts';
import { json, list, size, text, time } from './fields.ts';

export const CreatePackage = z.strictObject({
  name: text(TEXT_MAX.name),
  producer: text(TEXT_MAX.producer),
  subject: text(TEXT_MAX.subject).optional(),
  external_id: text(TEXT_MAX.externalId).optional(),
  retention_class: z.string().max(128).optional().describe('one of GET /v1/retention/classes; default raw-evidence'),
  metadata: json.optional().describe('at most 256 KiB as canonical JSON, 32 levels deep'),
  supersedes: z.string().optional().describe('the id of the package that this one revises'),
});

export const Package = z.object({
  id: z.string(),
  name: z.string(),
  producer: z.string(),
  subject: z.string().nullable(),
  external_id: z.string().nullable(),
  status: z.enum(PACKAGE_STATUSES),
  metadata: json,
  file_count: size,
  total_size: size,
  stored_size: size
    .nullable()
    // Version 0.1.0 does not say it.
    .default(null)
    .describe(
      'bytes in storage of the objects that hold its files, which other packages may share; null until finalized',
    ),
  manifest_digest: z.string().nullable(),
  retention: z.object({
    class: z.string(),
    expires_at: time.nullable().describe('null: never'),
    held: z.boolean(),
    eligible: z.boolean(),
  }),
  supersedes: z.string().nullable(),
  superseded_by: z.string().nullable(),
  reason: z.string().nullable().describe('why it failed or was deleted'),
  created_at: time,
  finalized_at: time.nullable(),
  deleted_at: time.nullable(),
});

export const ListPackages = z
  .object({
    producer: z.string().optional(),
    subject: z.string().optional(),
    external_id: z.string().optional(),
    status: z.enum(PACKAGE_STATUSES).optional().describe('without it deleted packages are left out'),
    retention_class: z.string().optional(),
    created_after: time.optional(),
    created_before: time.optional(),
  })
  .catchall(z.string())
  .describe('metadata.<dotted key>=<value> filters by a scalar of the metadata');

export const PackageList = list(Package);

export const LinkQuery = z.strictObject({
  author: text(TEXT_MAX.author).optional(),
  workstream_id: text(TEXT_MAX.author).optional(),
  task_id: text(TEXT_MAX.author).optional(),
});

export const Link = z.object({
  package_id: z.string(),
  manifest_digest: z.string().nullable(),
  url: z.string(),
  event: z.object({
    event_type: z.literal('artifact_link'),
    author: z.string(),
    summary: z.string(),
    workstream_id: z.string().optional(),
    task_id: z.string().optional(),
    detail: json,
  }),
});

export const Finalize = z.strictObject({
  file_count: size.optional(),
  total_size: size.optional(),
  files_digest: z.string().optional().describe('of the list that GET …/manifest?format=sha256sum will answer'),
});

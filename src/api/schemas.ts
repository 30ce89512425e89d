import { z } from 'zod';
import { PACKAGE_STATUSES } from '../core/package-state.ts';
import { UPLOAD_STATES } from '../core/upload-state.ts';

/**
 * The wire contract of `/v1`, once: requests are validated by these schemas, /openapi.json is generated from them, and
 * the command line's types are inferred from them. Requests are strict (an unknown field is an error); responses may
 * gain fields. Paths and digests are checked further by core, which gives them codes of their own.
 */

const text = (max: number) =>
  z
    .string()
    .min(1, 'must not be empty')
    .max(max, `has more than ${max} characters`)
    .refine(printable, 'holds control characters or is not valid Unicode');
const size = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const time = z.iso.datetime({ offset: true });
const digest = z.string().describe('sha256: and 64 lower-case hex digits');
const path = z.string().describe('relative, / between segments, kept as given');
// Not a record: that would drop a member called __proto__ silently.
const json = z
  .custom<Record<string, unknown>>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
    message: 'must be a JSON object',
  })
  .meta({ type: 'object' });

function printable(value: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  return value.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(value);
}

const reason = z
  .string()
  .trim()
  .min(1, 'is needed: say why')
  .max(2_000, 'has more than 2,000 characters')
  .refine((value) => value.isWellFormed() && !value.includes('\u0000'), 'is not valid Unicode text');

// ── Packages ────────────────────────────────────────────────────────────────────────────────────────────────────────

export const CreatePackage = z.strictObject({
  name: text(512),
  producer: text(128),
  subject: text(512).optional(),
  external_id: text(512).optional(),
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

export const Page = {
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  cursor: z.string().optional(),
};

export const list = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next_cursor: z.string().nullable() });

export const PackageList = list(Package);

export const Reason = z.strictObject({ reason });

export const LinkQuery = z.strictObject({
  author: text(256).optional(),
  workstream_id: text(256).optional(),
  task_id: text(256).optional(),
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

export const Finalize = z.strictObject({ file_count: size.optional(), total_size: size.optional() });

// ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export const mediaType = z
  .string()
  .max(255)
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: *; *[\x20-\x7e]*)?$/, 'is no media type');

export const RegisterFiles = z.strictObject({
  files: z
    .array(
      z.strictObject({
        path,
        digest,
        size,
        media_type: mediaType.optional(),
        mtime: time.optional().describe('recorded in the manifest'),
        executable: z.boolean().optional(),
        replace: z.boolean().optional(),
      }),
    )
    .min(1)
    .max(1_000),
});

export const FileState = z.object({ path: z.string(), digest: z.string(), state: z.enum(['stored', 'missing']) });
export const RegisteredFiles = z.object({ files: z.array(FileState) });

export const File = z.object({
  path: z.string(),
  digest: z.string(),
  size,
  media_type: z.string(),
  mtime: time.nullable(),
  executable: z.boolean(),
  state: z.enum(['stored', 'missing']),
});
export const FileList = list(File);
export const FileQuery = z.strictObject(Page);

export const PutFileQuery = z.strictObject({
  replace: z.enum(['true', 'false']).optional(),
  digest: z.string().optional(),
});

export const GetFileQuery = z.strictObject({ redirect: z.enum(['true', 'false']).optional() });

export const ManifestQuery = z.strictObject({ format: z.enum(['json', 'sha256sum']).optional() });

// ── Uploads ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export const PlanUploads = z.strictObject({
  objects: z
    .array(
      z.strictObject({
        digest,
        size,
        parts: z.array(z.strictObject({ digest, size })).max(10_000).optional(),
        members: z
          .array(z.strictObject({ digest, offset: size, size }))
          .max(100_000)
          .optional()
          .describe('makes the object a pack: the tar file of these blobs, in this order'),
      }),
    )
    .min(1)
    .max(1_000),
});

export const PartRequest = z.object({
  number: z.int(),
  offset: size,
  size,
  digest: z.string(),
  received: z.boolean().describe('arrived already: need not be sent'),
  method: z.literal('PUT'),
  url: z.string(),
  headers: z.record(z.string(), z.string()).describe('to be sent exactly so'),
  expires_at: time,
});

export const PlannedUpload = z.object({
  upload_id: z.string().nullable().describe('null when there is nothing to send'),
  digest: z.string(),
  state: z.enum(['open', 'stored']),
  parts: z.array(PartRequest),
});
export const PlannedUploads = z.object({ uploads: z.array(PlannedUpload) });

export const Upload = z.object({
  upload_id: z.string(),
  package_id: z.string(),
  digest: z.string(),
  size,
  state: z.enum(UPLOAD_STATES),
  parts: z.array(z.object({ number: z.int(), offset: size, size, digest: z.string(), received: z.boolean() })),
  failure: z.object({ code: z.string(), detail: z.string() }).nullable(),
  created_at: time,
  expires_at: time,
});

export const PartUrls = z.strictObject({ parts: z.array(z.int().min(1).max(10_000)).min(1).max(10_000) });
export const PartUrlList = z.object({ parts: z.array(PartRequest) });

export const CommitUpload = z.strictObject({
  parts: z
    .array(z.strictObject({ number: z.int().min(1), etag: z.string() }))
    .max(10_000)
    .optional(),
});
export const CommittedUpload = z.object({
  upload_id: z.string(),
  digest: z.string(),
  state: z.enum(['stored', 'verifying']),
});

export const Downloads = z.strictObject({
  paths: z.array(path).min(1).max(1_000).optional().describe('without it: the whole package, page by page'),
});
export const DownloadList = z.object({
  objects: z.array(
    z.object({
      url: z.string(),
      headers: z.record(z.string(), z.string()).describe('to be sent exactly so'),
      size: size.describe('of the answer'),
      expires_at: time,
      entries: z
        .array(z.object({ path: z.string(), digest: z.string(), offset: size, size }))
        .describe('which bytes of the answer are which file'),
    }),
  ),
  next_cursor: z.string().nullable(),
});

// ── Retention and audit ─────────────────────────────────────────────────────────────────────────────────────────────

export const RetentionClassList = z.object({
  items: z.array(
    z.object({ name: z.string(), days: z.int().nullable().describe('null: never'), default: z.boolean() }),
  ),
});

export const EligibleList = list(
  z.object({
    package_id: z.string(),
    name: z.string(),
    producer: z.string(),
    status: z.enum(PACKAGE_STATUSES),
    retention_class: z.string(),
    expires_at: time,
    reason: z.string(),
    total_size: size,
  }),
);

export const Hold = z.object({
  id: z.string(),
  reason: z.string(),
  reference: z.string().nullable(),
  placed_by: z.string(),
  placed_at: time,
  released_by: z.string().nullable(),
  released_at: time.nullable(),
  release_reason: z.string().nullable(),
});

export const RetentionEvent = z.object({
  id: z.string(),
  action: z.string(),
  at: time,
  actor: z.string(),
  reason: z.string().nullable(),
  expires_before: time.nullable(),
  expires_after: time.nullable(),
});

export const Retention = z.object({
  package_id: z.string(),
  class: z.string(),
  expires_at: time.nullable(),
  held: z.boolean(),
  eligible: z.boolean(),
  reason: z.enum(['expired', 'retention_active', 'never_expires', 'held', 'deleted']),
  holds: z.array(Hold),
  events: z.array(RetentionEvent),
});

export const Extend = z
  .strictObject({
    expires_at: time.optional(),
    days: z.int().min(1).max(36_500).optional().describe('counted from the current expiry'),
    reason,
  })
  .refine((body) => (body.expires_at === undefined) !== (body.days === undefined), {
    message: 'give either expires_at or days',
    path: ['expires_at'],
  });

export const PlaceHold = z.strictObject({ reason, reference: text(512).optional() });

export const EligibleQuery = z.strictObject(Page);

export const ListAudit = z.strictObject({
  ...Page,
  package_id: z.string().optional(),
  action: z.string().optional(),
  actor: z.string().optional(),
  after: time.optional(),
});
export const AuditEvent = z.object({
  id: z.string(),
  at: time,
  actor: z.string(),
  action: z.string(),
  package_id: z.string().nullable(),
  subject_id: z.string().nullable(),
  reason: z.string().nullable(),
  detail: json,
});
export const AuditList = list(AuditEvent);

// ── Operations ──────────────────────────────────────────────────────────────────────────────────────────────────────

export const LimitsAnswer = z.record(z.string(), z.number());

export const Health = z.object({ status: z.literal('ok') });

const component = z.object({ kind: z.string(), ok: z.boolean(), latency_ms: z.number(), error: z.string().optional() });
export const Readiness = z.object({
  status: z.enum(['ready', 'not_ready']),
  version: z.string(),
  registry: component.extend({ schema: z.string().nullable() }),
  blob_store: component.extend({
    free_bytes: size.nullable(),
    capabilities: z.record(z.string(), z.boolean()),
    findings: z.array(z.string()).describe('what the backend does not guarantee, in words, and what to change'),
  }),
});

export const Diagnosis = z.object({
  checks: z.array(
    z.object({
      name: z.string(),
      level: z.enum(['ok', 'note', 'warning', 'failure']),
      says: z.string(),
      advice: z.string().nullable().describe('what to change; null: nothing'),
    }),
  ),
});

/** RFC 9457. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string().describe('stable; docs/errors.md lists all'),
  request_id: z.string(),
  path: z.string().optional(),
  digest: z.string().optional(),
  errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
});

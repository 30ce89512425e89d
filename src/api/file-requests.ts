import * as z from 'zod/mini';
import { digest, path, size, time } from './fields.ts';
import { many, Page } from './request-fields.ts';

export const mediaType = z
  .string()
  .check(
    z.maxLength(255),
    z.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: *;[\x20-\x7e]*)?$/, 'is not a media type'),
  );

export const RegisterFiles = z.strictObject({
  files: many(
    z.strictObject({
      path,
      digest,
      size,
      media_type: z.optional(mediaType),
      mtime: z.optional(time).check(z.describe('recorded in the manifest')),
      executable: z.optional(z.boolean()),
      replace: z.optional(z.boolean()),
    }),
    1_000,
    1,
  ),
});

export const ListFiles = z.strictObject({
  ...Page,
  deleted: z.optional(z.enum(['true', 'false'])).check(z.describe('true: only files that were removed')),
  missing: z
    .optional(z.enum(['true', 'false']))
    .check(z.describe('true: only files whose bytes the store does not have, or has no more')),
});

export const PutFileQuery = z.strictObject({
  replace: z.optional(z.enum(['true', 'false'])),
  digest: z.optional(z.string()),
});

export const GetFileQuery = z.strictObject({ redirect: z.optional(z.enum(['true', 'false'])) });

export const ManifestQuery = z.strictObject({ format: z.optional(z.enum(['json', 'sha256sum'])) });

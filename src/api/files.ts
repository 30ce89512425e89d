import { z } from 'zod';
import { digest, list, many, path, size, time } from './fields.ts';

export const mediaType = z
  .string()
  .max(255)
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: *;[\x20-\x7e]*)?$/, 'is no media type');

export const RegisterFiles = z.strictObject({
  files: many(
    z.strictObject({
      path,
      digest,
      size,
      media_type: mediaType.optional(),
      mtime: time.optional().describe('recorded in the manifest'),
      executable: z.boolean().optional(),
      replace: z.boolean().optional(),
    }),
    1_000,
    1,
  ),
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

export const PutFileQuery = z.strictObject({
  replace: z.enum(['true', 'false']).optional(),
  digest: z.string().optional(),
});

export const GetFileQuery = z.strictObject({ redirect: z.enum(['true', 'false']).optional() });

export const ManifestQuery = z.strictObject({ format: z.enum(['json', 'sha256sum']).optional() });

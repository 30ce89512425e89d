import * as z from 'zod/mini';
import { list, size, time } from './fields.ts';

export const FileState = z.object({ path: z.string(), digest: z.string(), state: z.enum(['stored', 'missing']) });
export const RegisteredFiles = z.object({ files: z.array(FileState) });

export const File = z.object({
  path: z.string(),
  digest: z.string(),
  size,
  media_type: z.string(),
  mtime: z.nullable(time),
  executable: z.boolean(),
  state: z.enum(['stored', 'missing', 'deleted']),
  deleted_at: z
    .optional(z.nullable(time))
    .check(z.describe('when it was removed from its finalized package; its bytes cannot be read')),
});
export const FileList = list(File);

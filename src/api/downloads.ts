import * as z from 'zod/mini';
import { size, time } from './fields.ts';

export const DownloadObject = z.object({
  url: z.string(),
  headers: z.record(z.string(), z.string()).check(z.describe('send these unchanged')),
  size: size.check(z.describe('of the answer')),
  expires_at: time,
  encoding: z
    .optional(z.literal('zstd-seekable'))
    .check(z.describe('the answer is in frames; if omitted, it is the content')),
  frames: z
    .optional(z.base64())
    .check(z.describe('with an encoding: stored and logical size of each frame, 4 bytes each, little-endian')),
  entries: z
    .array(z.object({ path: z.string(), digest: z.string(), offset: size, size }))
    .check(z.describe('which bytes of the decompressed answer belong to which file')),
});
export const DownloadList = z.object({ objects: z.array(DownloadObject), next_cursor: z.nullable(z.string()) });

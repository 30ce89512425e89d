import { z } from 'zod';
import { many, path, size, time } from './fields.ts';

export const Downloads = z.strictObject({
  paths: many(path, 1_000, 1).optional().describe('without it: the whole package, page by page'),
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

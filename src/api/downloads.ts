import { z } from 'zod';
import { many, path, size, time } from './fields.ts';

export const Downloads = z.strictObject({
  paths: many(path, 1_000, 1).optional().describe('without it: the whole package, page by page'),
  encodings: z
    .array(z.literal('zstd-seekable'))
    .max(1)
    .optional()
    .describe('which the client decodes; without it every answer is what the entries say'),
});
export const DownloadList = z.object({
  objects: z.array(
    z.object({
      url: z.string(),
      headers: z.record(z.string(), z.string()).describe('to be sent exactly so'),
      size: size.describe('of the answer'),
      expires_at: time,
      encoding: z
        .literal('zstd-seekable')
        .optional()
        .describe('the answer is in frames; without it, it is what the entries say'),
      frames: z
        .base64()
        .optional()
        .describe('with an encoding: stored and logical size of each frame, 4 bytes each, little-endian'),
      entries: z
        .array(z.object({ path: z.string(), digest: z.string(), offset: size, size }))
        .describe('which bytes of the answer, decompressed, are which file'),
    }),
  ),
  next_cursor: z.string().nullable(),
});

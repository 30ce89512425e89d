import { z } from 'zod';
import { ENCODINGS, FRAME_ENTRY_SIZE } from '../core/frame-table.ts';
import { UPLOAD_STATES } from '../core/upload-state.ts';
import { FRAMES_MAX } from '../core/zstd-frame.ts';
import { digest, many, size, time } from './fields.ts';

const FRAMES_TEXT_MAX = Math.ceil((FRAMES_MAX * FRAME_ENTRY_SIZE) / 3) * 4;

const ObjectFields = z.strictObject({
  digest,
  size,
  encoding: z
    .literal('zstd-seekable')
    .optional()
    .describe('how the bytes that are sent stand for the object; without it they are the object'),
  stored_size: size.optional().describe('with an encoding: of the bytes that are sent'),
  stored_digest: digest.optional().describe('with an encoding: of the bytes that are sent'),
  frames: z
    .string()
    .max(FRAMES_TEXT_MAX)
    .optional()
    .describe('with an encoding: base64 of the stored and the logical size of each frame, 4 bytes each, little-endian'),
  parts: many(z.strictObject({ digest, size }), 10_000).optional().describe('of the bytes that are sent'),
  members: many(z.strictObject({ digest, offset: size, size }), 10_000)
    .optional()
    .describe('makes the object a pack: the tar file of these blobs, in this order'),
});

/** An encoding goes with what it says of the bytes that are sent. */
const ObjectToSend = ObjectFields.refine(
  ({ encoding, stored_size, stored_digest, frames }) =>
    [stored_size, stored_digest, frames].every((field) => (field === undefined) === (encoding === undefined)),
  'encoding, stored_size, stored_digest and frames go together',
);

export const PlanUploads = z.strictObject({ objects: many(ObjectToSend, 1_000, 1) });

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
  encoding: z.enum(ENCODINGS),
  stored_size: size.describe('of the bytes that are sent, to which the parts belong'),
  state: z.enum(UPLOAD_STATES),
  parts: z.array(z.object({ number: z.int(), offset: size, size, digest: z.string(), received: z.boolean() })),
  failure: z.object({ code: z.string(), detail: z.string() }).nullable(),
  created_at: time,
  expires_at: time,
});

export const PartUrls = z.strictObject({ parts: many(z.int().min(1).max(10_000), 10_000, 1) });
export const PartUrlList = z.object({ parts: z.array(PartRequest) });

export const CommitUpload = z.strictObject({
  parts: many(z.strictObject({ number: z.int().min(1), etag: z.string() }), 10_000).optional(),
});
export const CommittedUpload = z.object({
  upload_id: z.string(),
  digest: z.string(),
  state: z.enum(['stored', 'verifying']),
});

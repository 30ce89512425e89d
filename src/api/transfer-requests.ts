import * as z from 'zod/mini';
import { FRAME_ENTRY_SIZE } from '../core/frame-table.ts';
import { FRAMES_MAX } from '../core/zstd-frame.ts';
import { digest, path, size } from './fields.ts';
import { many } from './request-fields.ts';

const FRAMES_TEXT_MAX = Math.ceil((FRAMES_MAX * FRAME_ENTRY_SIZE) / 3) * 4;

const ObjectFields = z.strictObject({
  digest,
  size,
  encoding: z
    .optional(z.literal('zstd-seekable'))
    .check(z.describe('how the bytes that are sent encode the object; if omitted, they are the object')),
  stored_size: z.optional(size).check(z.describe('with an encoding: of the bytes that are sent')),
  stored_digest: z.optional(digest).check(z.describe('with an encoding: of the bytes that are sent')),
  frames: z
    .optional(z.string().check(z.maxLength(FRAMES_TEXT_MAX)))
    .check(
      z.describe(
        'with an encoding: base64 of the stored and the logical size of each frame, 4 bytes each, little-endian',
      ),
    ),
  parts: z.optional(many(z.strictObject({ digest, size }), 10_000)).check(z.describe('of the bytes that are sent')),
  members: z
    .optional(many(z.strictObject({ digest, offset: size, size }), 10_000))
    .check(z.describe('makes the object a pack: the tar file of these blobs, in this order')),
});

/** An encoding goes with what it says of the bytes that are sent. */
const ObjectToSend = ObjectFields.check(
  z.refine(
    ({ encoding, stored_size, stored_digest, frames }) =>
      [stored_size, stored_digest, frames].every((field) => (field === undefined) === (encoding === undefined)),
    'encoding, stored_size, stored_digest and frames go together',
  ),
);

export const PlanUploads = z.strictObject({ objects: many(ObjectToSend, 1_000, 1) });

export const PartUrls = z.strictObject({ parts: many(z.int().check(z.minimum(1), z.maximum(10_000)), 10_000, 1) });

export const CommitUpload = z.strictObject({
  parts: z.optional(many(z.strictObject({ number: z.int().check(z.minimum(1)), etag: z.string() }), 10_000)),
});

export const Downloads = z.strictObject({
  paths: z.optional(many(path, 1_000, 1)).check(z.describe('if omitted: the whole package, page by page')),
  encodings: z
    .optional(z.array(z.literal('zstd-seekable')).check(z.maxLength(1)))
    .check(z.describe('encodings that the client can decode; if omitted, every answer is the content')),
});

import * as z from 'zod/mini';
import { ENCODINGS } from '../core/frame-table.ts';
import { UPLOAD_STATES } from '../core/upload-state.ts';
import { size, time } from './fields.ts';

export const PartRequest = z.object({
  number: z.int(),
  offset: size,
  size,
  digest: z.string(),
  received: z.boolean().check(z.describe('already received: need not be sent')),
  method: z.literal('PUT'),
  url: z.string(),
  headers: z.record(z.string(), z.string()).check(z.describe('send these unchanged')),
  expires_at: time,
});

export const PlannedUpload = z.object({
  upload_id: z.nullable(z.string()).check(z.describe('null if there is nothing to send')),
  digest: z.string(),
  state: z.enum(['open', 'stored']),
  parts: z.array(PartRequest),
});
export const PlannedUploads = z.object({ uploads: z.array(PlannedUpload) });

export const Upload = z.object({
  upload_id: z.string(),
  package_id: z.nullable(z.string()).check(z.describe('null: of a repair')),
  digest: z.string(),
  size,
  encoding: z.enum(ENCODINGS),
  stored_size: size.check(z.describe('of the bytes that are sent, to which the parts belong')),
  state: z.enum(UPLOAD_STATES),
  parts: z.array(z.object({ number: z.int(), offset: size, size, digest: z.string(), received: z.boolean() })),
  failure: z.nullable(z.object({ code: z.string(), detail: z.string() })),
  created_at: time,
  expires_at: time,
});

export const PartUrlList = z.object({ parts: z.array(PartRequest) });

export const CommittedUpload = z.object({
  upload_id: z.string(),
  digest: z.string(),
  state: z.enum(['stored', 'verifying']),
});

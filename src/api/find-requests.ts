import * as z from 'zod/mini';
import { SEGMENT_MAX_BYTES } from '../core/logical-path.ts';
import { Page, text } from './request-fields.ts';

export const FindFiles = z.strictObject({
  ...Page,
  digest: z.optional(z.string()).check(z.describe('files with exactly these bytes')),
  name: z
    .optional(text(SEGMENT_MAX_BYTES))
    .check(z.describe('the last segment of the path; with a * at its end, whatever begins so')),
});

import * as z from 'zod/mini';
import { size } from './fields.ts';

export const FileDeletion = z.object({
  package_id: z.string(),
  files: size.check(z.describe('that were removed; with check, that would be')),
  bytes: size,
  already_deleted: size.check(z.describe('of the paths, those that had been removed before')),
});

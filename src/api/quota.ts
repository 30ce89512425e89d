import * as z from 'zod/mini';
import { list, size } from './fields.ts';

/** What one producer has, and may have. */
export const Quota = z.object({
  producer: z.string(),
  used_bytes: size.check(z.describe('of the files of finalized packages, but those that were removed')),
  reserved_bytes: size.check(z.describe('of the files of open packages, from their registration on')),
  quota_bytes: z.nullable(size).check(z.describe('both together may be so many; null: nothing says so')),
  open_packages: size,
  open_packages_max: size,
});

export const QuotaList = list(Quota);

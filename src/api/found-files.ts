import * as z from 'zod/mini';
import { PACKAGE_STATUSES } from '../core/package-state.ts';
import { list, size, time } from './fields.ts';

export const FoundFile = z.object({
  package_id: z.string(),
  package_name: z.string(),
  package_status: z.enum(PACKAGE_STATUSES),
  producer: z.string(),
  subject: z.nullable(z.string()),
  path: z.string(),
  digest: z.string(),
  size,
  since: time.check(z.describe('when the package was finalized; as long as it is not, when it was made')),
  state: z
    .enum(['stored', 'missing', 'damaged', 'deleted'])
    .check(
      z.describe(
        'missing: its bytes were never sent; damaged: no bytes in storage are known to be right; deleted: it, or its package',
      ),
    ),
  checked_at: z
    .nullable(time)
    .check(
      z.describe(
        'when the stored object that has its bytes was last read whole and found right; null: not since the package has it',
      ),
    ),
});

export const FoundFileList = list(FoundFile);

import * as z from 'zod/mini';
import { list, time } from './fields.ts';

/** A share, without its secret. */
export const Share = z.object({
  id: z.string(),
  package_id: z.string(),
  path: z.nullable(z.string()).check(z.describe('the one file that it shows; null: the whole package')),
  note: z.nullable(z.string()),
  state: z.enum(['active', 'expired', 'revoked']),
  created_at: time,
  created_by: z.string(),
  expires_at: time,
  revoked_at: z.nullable(time),
  revoked_by: z.nullable(z.string()),
});

export const NewShare = z.extend(Share, {
  url: z.string().check(z.describe('the link itself, shown this once: whoever has it can read')),
});

export const ShareList = list(Share);

import * as z from 'zod/mini';
import { NewShare, Share } from '../../../../src/api/shares.ts';
import { document, id, KIB, page } from './answer.ts';

const Checked = z.extend(Share, { id });

/** A path and a note, each character of which JSON may write as six. */
export const shares = page(Checked, 16 * KIB);
export const share = document(Checked);
export const newShare = document(
  z.extend(NewShare, { id, url: z.string().check(z.regex(/^https?:\/\/[\x21-\x7e]{1,2000}$/, 'is not a link')) }),
);

import * as z from 'zod/mini';
import { NewToken, Token } from '../../../../src/api/tokens.ts';
import { document, id, KIB, page } from './answer.ts';

const Checked = z.extend(Token, { id });

/** A name, a description, and a hundred producers, each character of which JSON may write as six. */
export const tokens = page(Checked, 128 * KIB);
export const token = document(Checked);
export const newToken = document(
  // It is set in an environment, or a header: nothing else may come there.
  z.extend(NewToken, { id, token: z.string().check(z.regex(/^[\x21-\x7e]{1,1024}$/, 'is not a token')) }),
);

import * as z from 'zod/mini';
import { size, time } from './fields.ts';

export const LogState = z.object({
  origin: z.string().check(z.describe('names the log, and the key that signs its checkpoints')),
  verifier: z.string().check(z.describe('the key as C2SP signed-note has it: name+id+key')),
  checkpoint: z.nullable(z.object({ size, at: time })).check(z.describe('the newest that was made; null: none yet')),
  time_stamp: z
    .nullable(z.object({ size, at: time }))
    .check(
      z.describe('the newest checkpoint that an authority has stamped, and when storage had the stamp; null: none'),
    ),
  gaps: z
    .array(z.object({ first: size, end: size }))
    .check(
      z.describe('entries from `first` to before `end` are in storage only: the registry was rebuilt, or restored'),
    ),
});

export const Consistency = z.object({
  from: size,
  to: size,
  hashes: z.array(z.string()).check(z.describe('RFC 9162, section 2.1.4; base64')),
});

import * as z from 'zod/mini';
import { digest, path, size, time } from './fields.ts';

const amount = (what: string) => z.object({ objects: size, bytes: size }).check(z.describe(what));

const DamagedItem = z.object({
  package_id: z.string(),
  path: z.nullable(path).check(z.describe('null: no file, but what the package has beside them')),
  kind: z.enum(['file', 'manifest', 'attestation']),
  digest,
  size,
  object_id: z.string(),
  bytes: z
    .enum(['wrong', 'missing', 'right'])
    .check(
      z.describe(
        'of the file, in this object. wrong: never served; missing: not in storage; right: served, but the object is damaged around them',
      ),
    ),
  copies: size.check(
    z.describe('other objects that have good bytes of it: with one or more, nothing needs to be sent'),
  ),
  last_good_at: z.nullable(time).check(z.describe('null: nobody has seen it good since the registry was rebuilt')),
  found_at: time,
  seen: z.string().check(z.describe('what is wrong with the object, half a sentence')),
});

const damaged = z.object({ items: z.array(DamagedItem), more: z.boolean() });

const run = {
  id: z.string(),
  state: z.enum(['running', 'done', 'failed', 'interrupted']),
  asked_by: z.string(),
  package_id: z.nullable(z.string()).check(z.describe('whose objects are read; null: all')),
  sample: z.nullable(z.number()).check(z.describe('percent of the objects, by chance; null: all')),
  started_at: time,
  ended_at: z.nullable(time),
  error: z.nullable(z.object({ code: z.string(), detail: z.string() })),
  report: z.object({
    objects: size,
    bytes: size.check(z.describe('of them in storage')),
    good: size,
    damaged: size.check(z.describe('wrong bytes, seen twice')),
    missing: size.check(z.describe('not in storage')),
    unread: size.check(z.describe('could not be read: no verdict, they are read again')),
    newly: size.check(z.describe('damaged or missing, and not known before')),
  }),
};

/** A reading; when it has ended, with what is damaged of what it was to read. */
export const FixityRun = z.object({ ...run, damaged });

export const Fixity = z.object({
  period_seconds: z.nullable(size).check(z.describe('null: off')),
  bytes_per_second: size.check(z.describe('how fast one service reads')),
  seen: amount('read within the period'),
  overdue: amount('not read within the period'),
  oldest_seen_at: z.nullable(time),
  damaged,
  runs: z.array(z.object(run)).check(z.describe('the last that were asked for, the newest first')),
});

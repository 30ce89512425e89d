import * as z from 'zod/mini';
import { size, time } from './fields.ts';

const amount = (what: string) => z.object({ count: size, bytes: size }).check(z.describe(what));

export const Sweep = z.object({
  id: z.string(),
  state: z.enum(['running', 'done', 'failed', 'interrupted']),
  asked_by: z.string(),
  apply: z.boolean(),
  reconcile: z.boolean(),
  started_at: time,
  ended_at: z.nullable(time),
  error: z.nullable(z.object({ code: z.string(), detail: z.string() })),
  report: z.object({
    unneeded: amount('objects that no living package needs: condemned, when it acts'),
    sparse: amount('packs that are mostly dead, or small: written anew, when it acts'),
    rewritten: amount('what was written in their place'),
    waiting: amount('condemned objects whose grace is not over'),
    locked: amount('objects that nothing needs and that storage keeps, because they are locked'),
    due: amount('condemned objects whose grace is over: removed, when it acts'),
    leftovers: amount('what uploads left that ended without an object: removed, when it acts'),
    unknown: amount('objects that the registry does not know: removed, when it acts'),
    unknown_kept: amount('the same, but a file may need them: kept'),
    young: amount('objects that are not in the registry yet, and too young to be judged'),
    missing: amount('objects that the registry has and storage does not'),
    unfinished_uploads: amount('uploads that ended and that storage has open: aborted, when it acts'),
    unfinished_kept: amount('the same, but storage may have completed them: left alone'),
    spool: amount('old files that were on their way in'),
    freed: amount('what this sweep removed'),
    unknown_packages: z
      .array(z.string())
      .check(z.describe('packages of which the store has manifests or decisions that the registry does not know')),
    requests: size.check(z.describe('requests to storage')),
  }),
});

export const Sweeps = z.object({ items: z.array(Sweep) });

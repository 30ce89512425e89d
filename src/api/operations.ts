import * as z from 'zod/mini';
import { size } from './fields.ts';

export const LimitsAnswer = z.record(z.string(), z.number());

export const Health = z.object({ status: z.literal('ok') });

const component = z.object({
  kind: z.string(),
  ok: z.boolean(),
  latency_ms: z.number(),
  error: z.optional(z.string()),
});
/** Once tokens are in use, strangers are told the status alone. */
export const Readiness = z.object({
  status: z.enum(['ready', 'not_ready']),
  version: z.optional(z.string()),
  under_way: z
    // Version 0.1.0 does not say it.
    ._default(z.array(z.string()), [])
    .check(z.describe('start-up work that has not finished: identity, probe, leftovers, recovery')),
  store_id: z
    .optional(z.nullable(z.string()))
    .check(z.describe('of the store; null: it is not known yet whether it belongs to the registry')),
  registry: z.optional(z.extend(component, { schema: z.nullable(z.string()) })),
  blob_store: z.optional(
    z.extend(component, {
      free_bytes: z.nullable(size),
      capabilities: z.record(z.string(), z.boolean()),
      findings: z
        .array(z.string())
        .check(z.describe('what the backend does not guarantee, in words, and what to change')),
    }),
  ),
});

export const Diagnosis = z.object({
  checks: z.array(
    z.object({
      name: z.string(),
      level: z.enum(['ok', 'note', 'warning', 'failure']),
      says: z.string(),
      advice: z.nullable(z.string()).check(z.describe('what to change; null: nothing')),
    }),
  ),
});

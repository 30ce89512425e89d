import { z } from 'zod';
import { size } from './fields.ts';

export const LimitsAnswer = z.record(z.string(), z.number());

export const Health = z.object({ status: z.literal('ok') });

const component = z.object({ kind: z.string(), ok: z.boolean(), latency_ms: z.number(), error: z.string().optional() });
export const Readiness = z.object({
  status: z.enum(['ready', 'not_ready']),
  version: z.string(),
  under_way: z
    .array(z.string())
    // Version 0.1.0 does not say it.
    .default([])
    .describe('what the start has begun and not ended yet: probe, leftovers, recovery'),
  registry: component.extend({ schema: z.string().nullable() }),
  blob_store: component.extend({
    free_bytes: size.nullable(),
    capabilities: z.record(z.string(), z.boolean()),
    findings: z.array(z.string()).describe('what the backend does not guarantee, in words, and what to change'),
  }),
});

export const Diagnosis = z.object({
  checks: z.array(
    z.object({
      name: z.string(),
      level: z.enum(['ok', 'note', 'warning', 'failure']),
      says: z.string(),
      advice: z.string().nullable().describe('what to change; null: nothing'),
    }),
  ),
});

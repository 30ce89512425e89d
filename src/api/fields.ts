import * as z from 'zod/mini';
import en from 'zod/v4/locales/en.js';

// Without it every message is `Invalid input`.
z.config(en());

/**
 * The wire contract of `/v1`, once: requests are validated by these schemas, /openapi.json is generated from them, and
 * the command line's types are inferred from them. Requests are strict (an unknown field is an error); responses may
 * gain fields. Paths and digests are checked further by core, which gives them codes of their own.
 *
 * One file for what is answered of each resource, and one for what is asked (`…-requests.ts`), which no client loads; here is
 * what several of them are made of.
 */

/** Bytes, and whatever else is counted. */
export const size = z.int().check(z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER));
export const time = z.iso.datetime({ offset: true });
export const digest = z.string().check(z.describe('sha256: and 64 lower-case hex digits'));
export const path = z.string().check(z.describe('relative, / between segments, kept as given'));

// Not a record: that would drop a member called __proto__ silently.
export const json = z
  .custom<Record<string, unknown>>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
    message: 'must be a JSON object',
  })
  .check(z.meta({ type: 'object' }));

/** One page of a list; `next_cursor` null: the last one. */
export const list = <T extends z.ZodMiniType>(item: T) =>
  z.object({ items: z.array(item), next_cursor: z.nullable(z.string()) });

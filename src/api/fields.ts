import { z } from 'zod';
import { isOneLine, isText, REASON_MAX, TEXT_SAYS } from '../core/text-problem.ts';

/**
 * The wire contract of `/v1`, once: requests are validated by these schemas, /openapi.json is generated from them, and
 * the command line's types are inferred from them. Requests are strict (an unknown field is an error); responses may
 * gain fields. Paths and digests are checked further by core, which gives them codes of their own.
 *
 * One file for each resource; here is what several of them are made of.
 */

/** One line. @param max code points */
export const text = (max: number) =>
  z.string().min(1, TEXT_SAYS.empty).max(max, TEXT_SAYS.longer(max)).refine(isOneLine, TEXT_SAYS.unprintable);

/** Bytes, and whatever else is counted. */
export const size = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
export const time = z.iso.datetime({ offset: true });
export const digest = z.string().describe('sha256: and 64 lower-case hex digits');
export const path = z.string().describe('relative, / between segments, kept as given');

// Not a record: that would drop a member called __proto__ silently.
export const json = z
  .custom<Record<string, unknown>>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
    message: 'must be a JSON object',
  })
  .meta({ type: 'object' });

/** Why somebody decides something; of any number of lines. */
export const reason = z
  .string()
  .trim()
  .min(1, TEXT_SAYS.noReason)
  .max(REASON_MAX, TEXT_SAYS.longer(REASON_MAX))
  .refine(isText, TEXT_SAYS.noText);

/** The body of a request that says nothing else. */
export const Reason = z.strictObject({ reason });

/** What the query of every list has. */
export const Page = {
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  cursor: z.string().optional(),
};

/** The query of a list without filters. */
export const PageQuery = z.strictObject(Page);

/**
 * An array in a request. Its length is checked before its elements, and validation ends at the first wrong element: zod would
 * collect the issues of every one.
 */
export function many<T extends z.ZodType>(item: T, most: number, least = 0): z.ZodType<z.output<T>[]> {
  const { $schema: _, ...described } = z.toJSONSchema(z.array(item).min(least).max(most), { io: 'input' });
  const checked = z.unknown().superRefine((value, ctx) => {
    const message = Array.isArray(value) ? lengthProblem(value.length, least, most) : 'must be an array';
    if (message !== null) return ctx.addIssue({ code: 'custom', message });
    for (const [index, element] of (value as unknown[]).entries()) {
      const { error } = item.safeParse(element);
      if (error === undefined) continue;
      for (const { message, path } of error.issues) ctx.addIssue({ code: 'custom', message, path: [index, ...path] });
      return;
    }
  });
  return checked.meta(described as Record<string, unknown>) as unknown as z.ZodType<z.output<T>[]>;
}

function lengthProblem(length: number, least: number, most: number): string | null {
  if (length < least) return `has fewer than ${least} elements`;
  return length > most ? `has more than ${most} elements` : null;
}

/** One page of a list; `next_cursor` null: the last one. */
export const list = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next_cursor: z.string().nullable() });

import * as z from 'zod/mini';
import { isOneLine, isText, REASON_MAX, TEXT_SAYS } from '../core/text-problem.ts';

/** One line. @param max code points */
export const text = (max: number) =>
  z
    .string()
    .check(
      z.minLength(1, TEXT_SAYS.empty),
      z.maxLength(max, TEXT_SAYS.longer(max)),
      z.refine(isOneLine, TEXT_SAYS.unprintable),
    );

/** Why somebody decides something; of any number of lines. */
export const reason = z
  .string()
  .check(
    z.trim(),
    z.minLength(1, TEXT_SAYS.noReason),
    z.maxLength(REASON_MAX, TEXT_SAYS.longer(REASON_MAX)),
    z.refine(isText, TEXT_SAYS.noText),
  );

/** The body of a request that says nothing else. */
export const Reason = z.strictObject({ reason });

/** Digits: to a number, '', ' 7', '0x10' and '1e2' are one too, and others read them differently. */
const WHOLE_NUMBER = /^(?:0|[1-9]\d{0,15})$/;

/** A whole number in a query. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER) {
  const digits = z.unknown().check(
    z.refine((value) => typeof value === 'string' && WHOLE_NUMBER.test(value), 'must be a whole number in digits'),
    z.meta({ type: 'integer', minimum: least, maximum: most }),
  );
  return z.pipe(z.pipe(digits, z.transform(Number)), z.int().check(z.minimum(least), z.maximum(most)));
}

/** What the query of every list has. */
export const Page = {
  limit: z._default(wholeNumber(1, 1_000), 100),
  cursor: z.optional(z.string()),
};

/** The query of a list without filters. */
export const PageQuery = z.strictObject(Page);

/**
 * An array in a request. Its length is checked before its elements, and validation ends at the first wrong element: zod would
 * collect the issues of every one.
 */
export function many<T extends z.ZodMiniType>(item: T, most: number, least = 0): z.ZodMiniType<z.output<T>[]> {
  const { $schema: _, ...described } = z.toJSONSchema(z.array(item).check(z.minLength(least), z.maxLength(most)), {
    io: 'input',
  });
  const checked = z.unknown().check(
    z.superRefine((value, ctx) => {
      const message = Array.isArray(value) ? lengthProblem(value.length, least, most) : 'must be an array';
      if (message !== null) return ctx.addIssue({ code: 'custom', message });
      for (const [index, element] of (value as unknown[]).entries()) {
        const { error } = item.safeParse(element);
        if (error === undefined) continue;
        for (const { message, path } of error.issues) ctx.addIssue({ code: 'custom', message, path: [index, ...path] });
        return;
      }
    }),
  );
  return checked.check(z.meta(described as Record<string, unknown>)) as unknown as z.ZodMiniType<z.output<T>[]>;
}

function lengthProblem(length: number, least: number, most: number): string | null {
  if (length < least) return `has fewer than ${least} elements`;
  return length > most ? `has more than ${most} elements` : null;
}

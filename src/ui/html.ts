import { html as template } from 'hono/html';
import { printable } from '../core/format.ts';

/** HTML that `html` alone makes: whatever stands in it is escaped. */
export type Html = ReturnType<typeof template> & { readonly isEscaped: true };
export type Value = string | number | null | undefined | false | Html | readonly Value[];

/**
 * A template of HTML. Texts are escaped, for content and for attributes in double quotes, and what they have that could turn a line
 * around or hide in it (controls, marks of direction) is made visible; null, undefined and false are nothing.
 */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  return template(strings, ...values.map(visible)) as Html;
}

function visible(value: Value): Value {
  if (typeof value === 'string') return printable(value);
  return isList(value) ? value.map(visible) : value;
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

import type { VerbOption } from './command.ts';
import { CliError } from './errors.ts';
import { type Invocation, longName, optionsOf } from './program.ts';

/** Errors about fields of a request. */
const ABOUT_FIELDS: ReadonlySet<string> = new Set(['invalid_request', 'invalid_metadata']);

/**
 * An error about an option, in the words that the person typed: wire fields and configuration variables mean nothing to
 * somebody who typed an option.
 */
export function inOptionWords(error: CliError, { verb, options }: Invocation): CliError {
  const given = optionsOf(verb).filter((option) => (options as Record<string, unknown>)[keyOf(option)] !== undefined);
  const message = error.code === 'bad_config' ? ofVariables(error.message, given) : ofFields(error, given);
  if (message === null) return error;
  const { exit, code, next, extras, cause } = error;
  return new CliError(message, { exit, code, next: next ?? undefined, extras, cause });
}

function ofFields({ code, extras }: CliError, given: readonly VerbOption[]): string | null {
  if (!ABOUT_FIELDS.has(code) || !Array.isArray(extras.errors)) return null;
  const told = (extras.errors as Array<{ field: string; message: string }>).map(({ field, message }) => {
    const option = given.find((candidate) => isOf(candidate, field));
    if (option === undefined) return null;
    const below = field === fieldOf(option) ? '' : ` (its member ${field.slice(fieldOf(option).length + 1)})`;
    // Half a sentence, or a sentence of the validating library.
    return `${longName(option)}${below}${/^[a-z]/.test(message) ? '' : ':'} ${message}.`;
  });
  return told.length > 0 && told.every((line) => line !== null) ? told.join('\n') : null;
}

function ofVariables(message: string, given: readonly VerbOption[]): string | null {
  const option = given.find(({ variable }) => variable !== undefined && message.includes(variable));
  return option?.variable === undefined
    ? null
    : message.replace(option.variable, `${longName(option)} (${option.variable})`);
}

function isOf(option: VerbOption, field: string): boolean {
  return field === fieldOf(option) || field.startsWith(`${fieldOf(option)}.`);
}

/** The wire writes its names with underscores. */
function fieldOf(option: VerbOption): string {
  return option.field ?? longName(option).slice(2).replaceAll('-', '_');
}

function keyOf(option: VerbOption): string {
  return longName(option)
    .replace(/^--(no-)?/, '')
    .replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

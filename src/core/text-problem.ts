/** What a text of the wire may be; `src/api/fields.ts` says the same to whoever reads the schema. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** What a package, an author or a reference may be called; in code points, as JSON Schema counts. */
export const TEXT_MAX = { name: 512, producer: 128, subject: 512, externalId: 512, reference: 512, author: 256 };
const REASON_MAX = 2_000;

/** Why a text is not one line of at most `max` characters, as half a sentence; null when it is. */
export function textProblem(text: string, max: number): string | null {
  if (text === '') return 'must not be empty';
  if (isLonger(text, max)) return `has more than ${max} characters`;
  return text.isWellFormed() && !CONTROL.test(text) ? null : 'holds control characters or is not valid Unicode';
}

/** The same of a reason, which may have any number of lines. */
export function reasonProblem(text: string): string | null {
  const reason = text.trim();
  if (reason === '') return 'is needed: say why';
  if (isLonger(reason, REASON_MAX)) return 'has more than 2,000 characters';
  return reason.isWellFormed() && !reason.includes('\u0000') ? null : 'is not valid Unicode text';
}

function isLonger(text: string, max: number): boolean {
  return text.length > max && (text.length > 2 * max || [...text].length > max);
}

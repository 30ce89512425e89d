import { holdsControl } from './control-characters.ts';

/** What a text of the wire may be. The command line asks before it sends; the schemas of `src/api` are made of the same. */

/** What a package, an author or a reference may be called; in code points, as JSON Schema counts. */
export const TEXT_MAX = {
  name: 512,
  producer: 128,
  subject: 512,
  externalId: 512,
  reference: 512,
  author: 256,
  token: 128,
  description: 512,
};
export const REASON_MAX = 2_000;

export const TEXT_SAYS = {
  empty: 'must not be empty',
  longer: (max: number) => `has more than ${String(max).replace(/\B(?=(\d{3})+$)/g, ',')} characters`,
  unprintable: 'contains control characters or is not valid Unicode',
  noReason: 'is needed: say why',
  noText: 'is not valid Unicode text',
} as const;

/** One line, as far as its characters go. */
export function isOneLine(text: string): boolean {
  return text.isWellFormed() && !holdsControl(text);
}

/** Any number of lines. */
export function isText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\u0000');
}

/** Why a text is not one line of at most `max` characters, as half a sentence; null when it is. */
export function textProblem(text: string, max: number): string | null {
  if (text === '') return TEXT_SAYS.empty;
  if (isLonger(text, max)) return TEXT_SAYS.longer(max);
  return isOneLine(text) ? null : TEXT_SAYS.unprintable;
}

/** The same of a reason, which may have any number of lines. */
export function reasonProblem(text: string): string | null {
  const reason = text.trim();
  if (reason === '') return TEXT_SAYS.noReason;
  if (isLonger(reason, REASON_MAX)) return TEXT_SAYS.longer(REASON_MAX);
  return isText(reason) ? null : TEXT_SAYS.noText;
}

function isLonger(text: string, max: number): boolean {
  return text.length > max && (text.length > 2 * max || [...text].length > max);
}

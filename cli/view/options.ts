import { usageError } from '../errors.ts';
import { statehubUrlProblem } from '../statehub-url.ts';

/** Readers of option texts: each gives the value or says what the option takes. */

/** @throws CliError wrong_usage */
export function parseCount(text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count > 0) return count;
  throw usageError(`${JSON.stringify(text)} is not a whole number above 0.`);
}

/** `key=value`; the value may hold further `=`. @throws CliError wrong_usage */
export function parsePair(text: string): [key: string, value: string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw usageError(`${JSON.stringify(text)} is not KEY=VALUE.`, 'Write it like --metadata result_status=warning.');
}

const DATE = /^\d{4}-\d\d-\d\d$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

/**
 * A date, or a time with its zone, as RFC 3339 in UTC. A date alone means the end of that day: who keeps something
 * until a day keeps it on that day too. @throws CliError wrong_usage
 */
export function parseUntil(text: string): string {
  const time = Date.parse(DATE.test(text) ? `${text}T23:59:59Z` : INSTANT.test(text) ? text : '');
  const isReal = !Number.isNaN(time) && isCalendarDay(text.slice(0, 10));
  if (isReal) return new Date(time).toISOString();
  throw usageError(
    `${JSON.stringify(text)} is no date.`,
    'Write a day like 2027-12-31 (to its end, UTC) or a time with its zone like 2027-12-31T12:00:00Z.',
  );
}

/** JavaScript takes 30 February for 2 March. */
function isCalendarDay(day: string): boolean {
  const time = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(day);
}

/** @throws CliError wrong_usage */
export function parseStatehub(text: string): string {
  const problem = statehubUrlProblem(text);
  if (problem === null) return text;
  throw usageError(`The Statehub address ${problem}.`, 'Write it like https://statehub.example/api.');
}

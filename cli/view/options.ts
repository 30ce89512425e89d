import { parseDuration } from '../../src/core/duration.ts';
import { fileRulesProblem } from '../../src/core/file-rules.ts';
import type { FileRule } from '../../src/core/retention.ts';
import { isScope, SCOPES, type Scope } from '../../src/core/scopes.ts';
import { reasonProblem, textProblem } from '../../src/core/text-problem.ts';
import type { Compression } from '../client/tree/compression.ts';
import { usageError } from '../errors.ts';
import { formatCount } from '../format.ts';
import { statehubUrlProblem } from '../statehub-url.ts';

/**
 * Parsers of option texts: each returns the value, or says what the option accepts. `flag` is the option as it was
 * typed.
 */

/** @throws CliError wrong_usage */
export function parseCount(text: string, flag: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count > 0) return count;
  throw usageError(`${flag} must be a whole number above 0, not ${JSON.stringify(text)}.`);
}

/** @throws CliError wrong_usage */
export function parsePercent(text: string, flag: string): number {
  const percent = /^\d{1,3}%?$/.test(text) ? Number.parseInt(text, 10) : -1;
  if (percent >= 0 && percent <= 100) return percent;
  throw usageError(`${flag} must be a whole number from 0 to 100, not ${JSON.stringify(text)}.`);
}

const SIZE_UNITS: Record<string, number> = { '': 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/** `0`, `500MB`, `20 GB`: powers of 1000, as sizes are printed. @throws CliError wrong_usage */
export function parseSize(text: string, flag: string): number {
  const [, digits, unit = ''] = /^(\d{1,15}) ?([kKMGT]?B)?$/.exec(text) ?? [];
  const bytes = digits === undefined ? Number.NaN : Number(digits) * (SIZE_UNITS[unit.toUpperCase()] ?? Number.NaN);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw usageError(`${flag} must be a size like 500MB or 20GB, not ${JSON.stringify(text)}.`);
}

const LEVEL_MAX = 19;

/** @throws CliError wrong_usage */
export function parseCompression(text: string, flag: string): Compression {
  if (text === 'auto' || text === 'off') return text;
  const level = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (level >= 1 && level <= LEVEL_MAX) return level;
  throw usageError(`${flag} must be auto, off or a level from 1 to ${LEVEL_MAX}, not ${JSON.stringify(text)}.`);
}

/** `GLOB=DAYS`; the glob may hold further `=`. @throws CliError wrong_usage */
export function parseFileRule(text: string, flag: string): FileRule {
  const at = text.lastIndexOf('=');
  const days = text.slice(at + 1);
  if (at < 1 || !/^\d{1,9}$/.test(days)) {
    throw usageError(`${flag} takes GLOB=DAYS, not ${JSON.stringify(text)}.`, `Write it like ${flag} 'raw/**=30'.`);
  }
  const rule = { path: text.slice(0, at), days: Number(days) };
  const problem = fileRulesProblem([rule]);
  if (problem !== null) throw usageError(`${flag} ${problem}.`);
  return rule;
}

/** What an expiry may be moved by at once. @throws CliError wrong_usage */
export function parseDays(text: string, flag: string): number {
  const days = parseCount(text, flag);
  if (days <= DAYS_MAX) return days;
  throw usageError(`${flag} must be at most ${formatCount(DAYS_MAX)}, not ${text}.`);
}

/** A text of one line, as the service takes it. @throws CliError wrong_usage */
export function parseText(max: number): (text: string, flag: string) => string {
  return (text, flag) => {
    const problem = textProblem(text, max);
    if (problem === null) return text;
    throw usageError(`${flag} ${problem}.`);
  };
}

/** @throws CliError wrong_usage */
export function parseReason(text: string, flag: string): string {
  const problem = reasonProblem(text);
  if (problem === null) return text;
  throw usageError(`${flag} ${problem}.`);
}

/** An unset shell variable gives an empty text: that is never intended. @throws CliError wrong_usage */
export function parseFilled(text: string, flag: string): string {
  if (text !== '') return text;
  throw usageError(`${flag} must not be empty.`);
}

/** `key=value`; the value may hold further `=`. @throws CliError wrong_usage */
export function parsePair(text: string, flag: string): [key: string, value: string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw usageError(
    `${flag} takes KEY=VALUE, not ${JSON.stringify(text)}.`,
    `Write it like ${flag} result_status=warning.`,
  );
}

const DAYS_MAX = 36_500;
const DATE = /^\d{4}-\d\d-\d\d$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

/**
 * A date, or a time with its zone, as RFC 3339 in UTC. A date alone means the end of that day: who keeps something
 * until a day keeps it on that day too. @param orElse what the option takes beside it @throws CliError wrong_usage
 */
export function parseUntil(text: string, flag: string, orElse = ''): string {
  const time = Date.parse(DATE.test(text) ? `${text}T23:59:59Z` : INSTANT.test(text) ? text : '');
  const isReal = !Number.isNaN(time) && isCalendarDay(text.slice(0, 10));
  if (isReal) return new Date(time).toISOString();
  throw usageError(
    `${flag} takes a date, and ${JSON.stringify(text)} is none.`,
    `Write ${orElse}a day like 2027-12-31 (until its end, UTC) or a time with a time zone like 2027-12-31T12:00:00Z.`,
  );
}

/**
 * When something ends: after so long (`12h`, `90d`), or as `parseUntil` takes it. In the service's own words, whose clock counts.
 * @throws CliError wrong_usage
 */
export function parseExpires(text: string, flag: string): { expires_at: string } | { expires_in: number } {
  const after = parseDuration(text);
  if (after === null) return { expires_at: parseUntil(text, flag, 'a time from now like 12h or 7d, ') };
  if (after > 0) return { expires_in: after / 1_000 };
  throw usageError(`${flag} must be later than now, not ${JSON.stringify(text)}.`);
}

/** @throws CliError wrong_usage */
export function parseScope(text: string, flag: string): Scope {
  if (isScope(text)) return text;
  throw usageError(`${flag} must be one of ${SCOPES.join(', ')}, not ${JSON.stringify(text)}.`);
}

/** JavaScript takes 30 February for 2 March. */
function isCalendarDay(day: string): boolean {
  const time = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(day);
}

/** @throws CliError wrong_usage */
export function parseStatehub(text: string, flag: string): string {
  const problem = statehubUrlProblem(text);
  if (problem === null) return text;
  throw usageError(`${flag}: the Statehub address ${problem}.`, 'Write it like https://statehub.example/api.');
}

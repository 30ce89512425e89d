import { StoreError } from '../core/errors.ts';
import type { Damage } from './damage.ts';
import { LostRaceError } from './lost-race.ts';

/** What Node and PostgreSQL say of an error: a system's name (`ECONNREFUSED`) or an SQLSTATE (`57P01`). */
interface Coded {
  code?: unknown;
  constraint?: unknown;
  message?: unknown;
  errors?: unknown;
}

/** SQLSTATEs, or their first two letters, of a database that cannot do what it otherwise could. */
const UNAVAILABLE = ['08', '53', '57', '40001', '40P01', '55P03', '25P03', '25006', '28', '3D000'];
const DISK_FULL = '53100';
/** data_corrupted, index_corrupted. */
const DAMAGED = ['XX001', 'XX002'];

/** Errors of the connection that neither Node nor PostgreSQL gives a code. */
const LOST =
  /Connection terminated|timeout expired|timeout exceeded|Query read timeout|Timeout acquiring a connection|is not queryable/i;

/** Indexes that decide races which SQLite's single writer does not know: who loses one looks again and finds the winner. */
const RACES = ['packages_one_current', 'packages_one_open', 'packages_one_open_revision', 'uploads_one_per_digest'];

/**
 * A database that is away, full or overloaded is the operator's business and passes: unavailable or no_space, with the
 * cause kept. Every other error is returned as it is.
 * @param place host and database, never the password @param damage is told of pages that are damaged
 */
export function translated(error: unknown, place: string, damage: Damage): unknown {
  if (error instanceof StoreError || !(error instanceof Error)) return error;
  const code = codeOf(error);
  if (DAMAGED.includes(code)) return damage.note(code, error);
  if (code === DISK_FULL)
    return new StoreError('no_space', `PostgreSQL at ${place} has no space left.`, {}, { cause: error });
  if (!isUnavailable(error, code)) return error;
  const detail = `PostgreSQL at ${place} cannot answer now: ${reasonOf(error)}.`;
  return new StoreError('unavailable', detail, {}, { cause: error });
}

/** Whether running the transaction again, from its beginning, may succeed: it was rolled back for another's sake. */
export function lostRace(error: unknown): boolean {
  if (error instanceof LostRaceError) return true;
  const cause = error instanceof StoreError ? error.cause : error;
  if (!(cause instanceof Error)) return false;
  const { code, constraint } = cause as Coded;
  if (code === '40001' || code === '40P01') return true;
  return code === '23505' && RACES.includes(String(constraint));
}

function isUnavailable(error: Error, code: string): boolean {
  if (/^[0-9A-Z]{5}$/.test(code)) return UNAVAILABLE.some((state) => code.startsWith(state));
  if (/^E[A-Z_]+$/.test(code)) return true;
  return LOST.test(error.message) || error.name === 'KnexTimeoutError';
}

function codeOf(error: Error): string {
  const { code } = error as Coded;
  return typeof code === 'string' ? code : '';
}

/** Node gathers what it tried for one host name in an AggregateError without a message of its own. */
function reasonOf(error: Error): string {
  const { errors } = error as Coded;
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  const message = error.message || (first instanceof Error ? first.message : '') || codeOf(error);
  // knex puts the statement before what was wrong with it.
  return message.slice(message.lastIndexOf(' - ') + 1).replace(/^- |\.$/g, '');
}

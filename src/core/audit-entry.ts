import { hash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import { TIME_MAX } from './time.ts';
import { ENTRY_MAX_BYTES } from './tlog-tiles.ts';

/** An audit event as `GET /v1/audit` shows it. */
export interface LoggedEvent {
  id: string;
  /** RFC 3339, UTC. */
  at: string;
  actor: string;
  action: string;
  package_id: string | null;
  subject_id: string | null;
  reason: string | null;
  detail: unknown;
}

const YEAR_0 = Date.UTC(-1, 12);

/** RFC 3339, UTC, of what can be written so; what was made of a time by other means than ours may lie outside. @param at ms */
export function eventTime(at: number): string {
  return new Date(Math.min(Math.max(at, YEAR_0), TIME_MAX)).toISOString();
}

/**
 * What an audit event is in the log: the RFC 8785 canonical JSON of these fields, which whoever has the event can make, too. An event
 * that is too long for an entry has `detail_sha256` in the place of `detail`: of its canonical JSON, in hex.
 */
export function auditEntry(event: LoggedEvent): Buffer {
  const long = longDetail(event);
  return Buffer.from(canonicalJson(long === null ? fieldsOf(event) : { ...fieldsOf(event), ...withoutDetail(long) }));
}

/** The detail of an event that is too long for an entry, beside which it is stored; null: it is in the entry. */
export function longDetail(event: LoggedEvent): { sha256: string; bytes: Buffer } | null {
  if (Buffer.byteLength(canonicalJson(fieldsOf(event))) <= ENTRY_MAX_BYTES) return null;
  const bytes = Buffer.from(canonicalJson(event.detail));
  return { sha256: hash('sha256', bytes, 'hex'), bytes };
}

/** What an event may have beside these is not in the log. */
function fieldsOf({ id, at, actor, action, package_id, subject_id, reason, detail }: LoggedEvent): LoggedEvent {
  return { id, at, actor, action, package_id, subject_id, reason, detail };
}

function withoutDetail({ sha256 }: { sha256: string }): { detail: undefined; detail_sha256: string } {
  return { detail: undefined, detail_sha256: sha256 };
}

/** The id of the event that an entry is of; null: it does not say. */
export function eventOfEntry(entry: Uint8Array): string | null {
  try {
    const { id } = JSON.parse(Buffer.from(entry).toString('utf8')) as { id?: unknown };
    return typeof id === 'string' ? id : null;
  } catch {
    return null;
  }
}

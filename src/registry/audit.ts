import type { Knex } from 'knex';
import type { AuditAction } from '../core/audit-actions.ts';
import { canonicalJson, type JsonObject } from '../core/canonical-json.ts';
import { fitting } from '../core/fitting.ts';
import { isId, timeOfId } from '../core/ids.ts';
import { parseJson } from '../core/parse-json.ts';
import { isPostgres } from './dialect.ts';
import { pendingEvents } from './pending-events.ts';
import type { Reads } from './reads.ts';
import { type Cell, recordset } from './recordset.ts';

export type { AuditAction };

export interface AuditRecord {
  seq: number;
  id: string;
  at: number;
  actor: string;
  action: AuditAction;
  package_id: string | null;
  subject_id: string | null;
  reason: string | null;
  detail: JsonObject;
}

export interface AuditFilter {
  package_id?: string | undefined;
  action?: string | undefined;
  actor?: string | undefined;
  /** Strictly later than; ms. */
  after?: number | undefined;
}

export type AuditEvent = Omit<AuditRecord, 'seq'>;

/** Of details in one page: an event may name a thousand files that were replaced. */
const PAGE_BYTES = 1024 ** 2;
/** How many events one look for the next ones passes over. */
const LOOKED_AT = 10_000;
/** How long a list waits for transactions that are adding events. */
const PATIENCE_MS = 1_000;
const LOOK_AGAIN_MS = 20;

/**
 * Append-only: there is no method that changes or removes an event.
 *
 * Lists continue after the last seq that they gave out. PostgreSQL gives a seq before the transaction commits, so a later
 * one can be seen earlier, and a list would leave out for ever what had not committed yet. Hence every transaction that adds
 * says, by a lock that nobody waits for, after which seq its own come, and a list ends before those of the transactions that
 * are under way (pending-events.ts). It waits for them a moment, so that whoever has just changed something finds it.
 */
export function auditTable(db: Knex) {
  const pending = isPostgres(db) ? pendingEvents(db) : null;

  return {
    add: (event: AuditEvent): Promise<void> => addAll([event]),

    addAll,

    /** Oldest first; `more` says that there is a further page. Long events make a page shorter than `limit`. */
    async page(
      filter: AuditFilter,
      reads: Reads,
      afterSeq: number,
      limit: number,
    ): Promise<{ events: AuditRecord[]; more: boolean }> {
      const last = pending === null ? null : await pending.lastComplete(PATIENCE_MS, LOOK_AGAIN_MS);
      const sizes: Array<{ seq: number; bytes: number }> = await matching(db, filter, reads, { after: afterSeq, last })
        .limit(limit + 1)
        .select('audit_events.seq', db.raw('octet_length(detail) as bytes'));
      const found = fitting(sizes.slice(0, limit), ({ bytes }) => bytes, PAGE_BYTES);
      return { events: await at(found.map(({ seq }) => seq)), more: sizes.length > found.length };
    },

    at,

    /** A seq up to which there will be no event that cannot be seen now; what is being added is not waited for. */
    lastComplete,

    /**
     * For whoever goes through the events once: those of these actions that may be read, and up to which seq there will be no other.
     * It looks at a limited number of events: `upTo` may be less than the last, with few events or none.
     */
    async next(
      { actions, reads }: { actions: readonly AuditAction[] | null; reads: Reads },
      afterSeq: number,
      limit: number,
    ): Promise<{ seqs: number[]; upTo: number }> {
      const last = Math.min(await lastComplete(), afterSeq + LOOKED_AT);
      if (last <= afterSeq) return { seqs: [], upTo: afterSeq };
      const query = matching(db, {}, reads, { after: afterSeq, last }).limit(limit);
      if (actions !== null) query.whereIn('action', [...actions]);
      const sizes: Array<{ seq: number; bytes: number }> = await query.select(
        'audit_events.seq',
        db.raw('octet_length(detail) as bytes'),
      );
      const seqs = fitting(sizes, ({ bytes }) => bytes, PAGE_BYTES).map(({ seq }) => seq);
      const whole = seqs.length === sizes.length && sizes.length < limit;
      return { seqs, upTo: whole ? last : (seqs.at(-1) as number) };
    },

    /** Null: there is none of this id that may be read. */
    async find(id: string, reads: Reads): Promise<AuditRecord | null> {
      if (!isId('evt', id)) return null;
      // Ids are not indexed; when they were made is, and an id says it.
      const [row]: Array<{ seq: number }> = await matching(db, {}, reads, { after: 0, last: null })
        .where({ 'audit_events.at': timeOfId(id), 'audit_events.id': id })
        .limit(1)
        .select('audit_events.seq');
      return row === undefined ? null : ((await at([row.seq]))[0] ?? null);
    },
  };

  async function lastComplete(): Promise<number> {
    if (pending !== null) return pending.lastComplete(0, LOOK_AGAIN_MS);
    const row: { last?: number | null } | undefined = await db('audit_events').max({ last: 'seq' }).first();
    return Number(row?.last ?? 0);
  }

  /** The events of these numbers, in their order; what does not exist is left out. */
  async function at(seqs: readonly number[]): Promise<AuditRecord[]> {
    const rows: Array<Omit<AuditRecord, 'detail'> & { detail: string }> = await db('audit_events')
      .whereIn('seq', [...seqs])
      .orderBy('seq')
      .select('*');
    return rows.map((row) => ({ ...row, detail: detailOf(row.detail) }));
  }

  /** In this order. */
  async function addAll(events: readonly AuditEvent[]): Promise<void> {
    if (events.length === 0) return;
    await pending?.announce();
    const rows = recordset(
      db,
      { ...COLUMNS, nth: 'integer' },
      events.map((event, nth) => [...FIELDS.map((field) => cellOf(event, field)), nth]),
    );
    await db.raw(`insert into audit_events (${FIELDS.join(', ')}) select ${FIELDS.join(', ')} from ? r order by nth`, [
      rows,
    ]);
  }
}

const COLUMNS = {
  id: 'text',
  at: 'integer',
  actor: 'text',
  action: 'text',
  package_id: 'text',
  subject_id: 'text',
  reason: 'text',
  detail: 'text',
} as const;
const FIELDS = Object.keys(COLUMNS) as Array<keyof typeof COLUMNS>;

function cellOf(event: AuditEvent, field: keyof typeof COLUMNS): Cell {
  return field === 'detail' ? canonicalJson(event.detail) : event[field];
}

/** What is no JSON object was changed by other means than ours. It is shown, so that the log can say that it does not have it. */
function detailOf(text: string): JsonObject {
  try {
    const detail: unknown = parseJson(text);
    if (typeof detail === 'object' && detail !== null && !Array.isArray(detail)) return detail as JsonObject;
  } catch {
    // As below.
  }
  return { unreadable: text };
}

/** Oldest first. */
function matching(
  db: Knex,
  filter: AuditFilter,
  reads: Reads,
  { after, last }: { after: number; last: number | null },
): Knex.QueryBuilder {
  const query = db('audit_events').where('audit_events.seq', '>', after).orderBy('audit_events.seq');
  if (last !== null) query.where('audit_events.seq', '<=', last);
  if (filter.package_id !== undefined) query.where('audit_events.package_id', filter.package_id);
  if (filter.action !== undefined) query.where('action', filter.action);
  if (filter.actor !== undefined) query.where('actor', filter.actor);
  if (filter.after !== undefined) query.where('at', '>', filter.after);
  if ('all' in reads) return query;
  return query.whereIn(
    'audit_events.package_id',
    db('packages')
      .whereIn('producer', [...reads.producers])
      .select('id'),
  );
}

export type AuditTable = ReturnType<typeof auditTable>;

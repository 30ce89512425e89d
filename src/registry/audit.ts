import type { Knex } from 'knex';
import { canonicalJson, type JsonObject } from '../core/canonical-json.ts';
import { isPostgres } from './dialect.ts';
import type { Reads } from './reads.ts';

export type AuditAction =
  | 'package.created'
  | 'package.files_registered'
  | 'package.file_removed'
  | 'package.sealed'
  | 'package.finalized'
  | 'package.failed'
  | 'package.deleted'
  | 'upload.planned'
  | 'upload.committed'
  | 'upload.failed'
  | 'upload.aborted'
  | 'object.damaged'
  | 'retention.set'
  | 'retention.extended'
  | 'hold.placed'
  | 'hold.released';

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

/** Names the lock between those who add events and those who list them. */
const AUDIT_LOCK = `hashtext('artifact-store audit')`;

/**
 * Append-only: there is no method that changes or removes an event.
 *
 * Lists continue after the last seq that they gave out. PostgreSQL gives a seq before the transaction commits, so a later
 * one can be seen earlier, and a list would leave out for ever what had not committed yet. Hence a list waits, by a lock
 * that all adding transactions share, until those that are under way have ended. Whoever adds an event takes no row's
 * lock afterwards that others might hold.
 */
export function auditTable(db: Knex) {
  const postgres = isPostgres(db);

  return {
    async add(event: Omit<AuditRecord, 'seq'>): Promise<void> {
      if (postgres) await db.raw(`select pg_advisory_xact_lock_shared(${AUDIT_LOCK})`);
      await db('audit_events').insert({ ...event, detail: canonicalJson(event.detail) });
    },

    /** Oldest first. */
    async list(filter: AuditFilter, reads: Reads, afterSeq: number, limit: number): Promise<AuditRecord[]> {
      if (!postgres) return select(db, filter, reads, afterSeq, limit);
      return db.transaction(async (trx) => {
        await trx.raw(`select pg_advisory_xact_lock(${AUDIT_LOCK})`);
        return select(trx, filter, reads, afterSeq, limit);
      });
    },
  };
}

async function select(
  db: Knex,
  filter: AuditFilter,
  reads: Reads,
  afterSeq: number,
  limit: number,
): Promise<AuditRecord[]> {
  const query = db('audit_events').where('audit_events.seq', '>', afterSeq).orderBy('audit_events.seq').limit(limit);
  if (filter.package_id !== undefined) query.where('audit_events.package_id', filter.package_id);
  if (filter.action !== undefined) query.where('action', filter.action);
  if (filter.actor !== undefined) query.where('actor', filter.actor);
  if (filter.after !== undefined) query.where('at', '>', filter.after);
  if (!('all' in reads)) {
    query.whereIn(
      'audit_events.package_id',
      db('packages')
        .whereIn('producer', [...reads.producers])
        .select('id'),
    );
  }
  const rows: Array<Omit<AuditRecord, 'detail'> & { detail: string }> = await query.select('audit_events.*');
  return rows.map((row) => ({ ...row, detail: JSON.parse(row.detail) as JsonObject }));
}

export type AuditTable = ReturnType<typeof auditTable>;

import type { Knex } from 'knex';
import { recordChanges } from '../../src/usecases/record-change.ts';
import { type Services, SYSTEM } from '../../src/usecases/services.ts';

/** A row of `audit_events`, as a database program shows it. */
export interface AuditRow {
  seq: number;
  id: string;
  at: number;
  actor: string;
  action: string;
  package_id: string | null;
  subject_id: string | null;
  reason: string | null;
  detail: string;
}

const BATCH = 50;

/** Events of no package, in one transaction. */
export async function addEvents({ registry }: Pick<Services, 'registry'>, count: number, what = 'made by a test') {
  await registry.transaction(async (tables) => {
    const at = await tables.now();
    const changes = Array.from({ length: count }, (_, nth) => ({
      at,
      action: 'object.condemned' as const,
      package_id: null,
      reason: what,
      detail: { nth },
    }));
    await recordChanges(tables, SYSTEM, changes);
  });
}

export async function auditRows(db: Knex): Promise<AuditRow[]> {
  const rows: AuditRow[] = await db('audit_events').orderBy('seq').select('*');
  return rows.map((row) => ({ ...row, seq: Number(row.seq), at: Number(row.at) }));
}

/** These and no others, as whoever can write the database can make it. */
export async function replaceAuditRows(db: Knex, rows: readonly AuditRow[]): Promise<void> {
  await db.transaction(async (trx) => {
    await trx('audit_events').delete();
    for (let at = 0; at < rows.length; at += BATCH) await trx('audit_events').insert(rows.slice(at, at + BATCH));
  });
}

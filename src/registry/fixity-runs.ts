import type { Knex } from 'knex';
import { canonicalJson, type JsonObject } from '../core/canonical-json.ts';
import type { FixityReport } from '../core/fixity-report.ts';
import type { PackageId } from '../core/ids.ts';

/** A reading that somebody asked for. */
export interface FixityRunRecord {
  id: string;
  asked_by: string;
  /** Whose objects; null: all. */
  package_id: PackageId | null;
  /** Percent of the objects; null: all. */
  sample: number | null;
  /** `interrupted`: its process was not heard of for too long. */
  state: 'running' | 'done' | 'failed' | 'interrupted';
  started_at: number;
  seen_at: number;
  ended_at: number | null;
  report: FixityReport;
  error_code: string | null;
  error: string | null;
}

type Row = Omit<FixityRunRecord, 'report'> & { report: string };

/** One that is running is heard of far more often; ms. */
const SILENCE_MAX_MS = 120_000;

export function fixityRunTable(db: Knex) {
  function fromRow(row: Row, now: number): FixityRunRecord {
    const silent = row.state === 'running' && row.seen_at < now - SILENCE_MAX_MS;
    return { ...row, report: JSON.parse(row.report) as FixityReport, state: silent ? 'interrupted' : row.state };
  }
  const text = (report: FixityReport): string => canonicalJson(report as unknown as JsonObject);

  return {
    async add(
      run: Pick<FixityRunRecord, 'id' | 'asked_by' | 'package_id' | 'sample' | 'started_at' | 'report'>,
    ): Promise<void> {
      await db('fixity_runs').insert({ ...run, seen_at: run.started_at, state: 'running', report: text(run.report) });
    },

    /** How far it is. */
    async note(id: string, report: FixityReport, now: number): Promise<void> {
      await db('fixity_runs')
        .where({ id, state: 'running' })
        .update({ report: text(report), seen_at: now });
    },

    async end(
      id: string,
      report: FixityReport,
      failure: { code: string; message: string } | null,
      now: number,
    ): Promise<void> {
      const failed = { error_code: failure?.code ?? null, error: failure?.message ?? null };
      const state = failure === null ? 'done' : 'failed';
      const change = { report: text(report), state, ...failed, seen_at: now, ended_at: now };
      await db('fixity_runs').where({ id, state: 'running' }).update(change);
    },

    async get(id: string, now: number): Promise<FixityRunRecord | null> {
      const row: Row | undefined = await db('fixity_runs').where({ id }).first();
      return row === undefined ? null : fromRow(row, now);
    },

    /** The newest first. */
    async list(limit: number, now: number): Promise<FixityRunRecord[]> {
      const rows: Row[] = await db('fixity_runs').orderBy('id', 'desc').limit(limit);
      return rows.map((row) => fromRow(row, now));
    },
  };
}

export type FixityRunTable = ReturnType<typeof fixityRunTable>;

import type { Knex } from 'knex';
import { canonicalJson } from '../core/canonical-json.ts';
import type { SweepReport } from '../core/sweep-report.ts';
import { rowsOf } from './dialect.ts';

export interface SweepRecord {
  id: string;
  asked_by: string;
  apply: boolean;
  reconcile: boolean;
  /** `interrupted`: its process was not heard of for too long. */
  state: 'running' | 'done' | 'failed' | 'interrupted';
  started_at: number;
  seen_at: number;
  ended_at: number | null;
  report: SweepReport;
  error_code: string | null;
  error: string | null;
}

/** Why a sweep ended early. */
export interface SweepFailure {
  code: string;
  message: string;
}

type Row = Omit<SweepRecord, 'apply' | 'reconcile' | 'report'> & {
  apply: boolean | number;
  reconcile: boolean | number;
  report: string;
};

/** A sweep that is running is heard of far more often; ms. */
const SILENCE_MAX_MS = 120_000;

/** Sweeps as they are asked for, run and ended, and the schedule. */
export function sweepTable(db: Knex) {
  function fromRow(row: Row, now: number): SweepRecord {
    const silent = row.state === 'running' && row.seen_at < now - SILENCE_MAX_MS;
    return {
      ...row,
      apply: Boolean(row.apply),
      reconcile: Boolean(row.reconcile),
      report: JSON.parse(row.report) as SweepReport,
      state: silent ? 'interrupted' : row.state,
    };
  }

  return {
    async add(
      sweep: Pick<SweepRecord, 'id' | 'asked_by' | 'apply' | 'reconcile' | 'started_at' | 'report'>,
    ): Promise<void> {
      const { report, started_at, ...row } = sweep;
      await db('sweeps').insert({
        ...row,
        started_at,
        seen_at: started_at,
        state: 'running',
        report: canonicalJson(report),
      });
    },

    /** How far it is. */
    async note(id: string, report: SweepReport, now: number): Promise<void> {
      await db('sweeps')
        .where({ id, state: 'running' })
        .update({ report: canonicalJson(report), seen_at: now });
    },

    async end(id: string, report: SweepReport, failure: SweepFailure | null, now: number): Promise<void> {
      const failed = { error_code: failure?.code ?? null, error: failure?.message ?? null };
      const state = failure === null ? 'done' : 'failed';
      const change = { report: canonicalJson(report), state, ...failed, seen_at: now, ended_at: now };
      await db('sweeps').where({ id, state: 'running' }).update(change);
    },

    async get(id: string, now: number): Promise<SweepRecord | null> {
      const row: Row | undefined = await db('sweeps').where({ id }).first();
      return row === undefined ? null : fromRow(row, now);
    },

    /** The newest first. */
    async list(limit: number, now: number): Promise<SweepRecord[]> {
      const rows: Row[] = await db('sweeps').orderBy('id', 'desc').limit(limit);
      return rows.map((row) => fromRow(row, now));
    },

    /** Of any number of services one gets true, once in each interval, and none while a sweep that acts is running. */
    async isDue(now: number, interval: number): Promise<boolean> {
      const rows = rowsOf(
        await db.raw(
          `update stores set sweep_due_at = ? where no = 1 and (sweep_due_at is null or sweep_due_at <= ?) and not exists (
             select 1 from sweeps s where s.state = 'running' and s.apply and s.seen_at >= ?) returning 1`,
          [now + interval, now, now - SILENCE_MAX_MS],
        ),
      );
      return rows.length > 0;
    },
  };
}

export type SweepTable = ReturnType<typeof sweepTable>;

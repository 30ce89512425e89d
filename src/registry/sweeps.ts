import type { Knex } from 'knex';
import type { SweepReport } from '../core/sweep-report.ts';
import { rowsOf } from './dialect.ts';
import { type RunRecord, runTable, SILENCE_MAX_MS } from './runs.ts';

export interface SweepRecord extends RunRecord {
  apply: boolean;
  reconcile: boolean;
  report: SweepReport;
}

/** Sweeps as they are asked for, run and ended, and the schedule. */
export function sweepTable(db: Knex) {
  return {
    ...runTable<SweepRecord>(db, 'sweeps', (sweep) => ({
      ...sweep,
      apply: Boolean(sweep.apply),
      reconcile: Boolean(sweep.reconcile),
    })),

    /** When the newest sweep that acted, and did all of it, ended; ms. Null: none has. */
    async lastDone(): Promise<number | null> {
      const query = db('sweeps').where({ state: 'done', apply: true }).orderBy('id', 'desc');
      const row: { ended_at: number } | undefined = await query.first('ended_at');
      return row === undefined ? null : Number(row.ended_at);
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

import type { Knex } from 'knex';
import { canonicalJson, type JsonObject } from '../core/canonical-json.ts';

/** Work of a service that goes on after its answer, and says now and then how far it is; times in ms. */
export interface RunRecord {
  id: string;
  asked_by: string;
  /** `interrupted`: its process was not heard of for too long. */
  state: 'running' | 'done' | 'failed' | 'interrupted';
  started_at: number;
  seen_at: number;
  ended_at: number | null;
  report: object;
  error_code: string | null;
  error: string | null;
}

/** Why it ended early. */
export interface RunFailure {
  code: string;
  message: string;
}

type Row<Run extends RunRecord> = Omit<Run, 'report'> & { report: string };

/** One that is running is heard of far more often; ms. */
export const SILENCE_MAX_MS = 120_000;

/** Runs of one kind, each in a row. @param told what the row says otherwise than the record: booleans */
export function runTable<Run extends RunRecord>(db: Knex, table: string, told: (run: Run) => Run = (run) => run) {
  function fromRow(row: Row<Run>, now: number): Run {
    const silent = row.state === 'running' && row.seen_at < now - SILENCE_MAX_MS;
    const state = silent ? 'interrupted' : row.state;
    return told({ ...row, report: JSON.parse(row.report), state } as unknown as Run);
  }

  const text = (report: object): string => canonicalJson(report as JsonObject);

  return {
    async add(run: Omit<Run, 'state' | 'seen_at' | 'ended_at' | 'error_code' | 'error'>): Promise<void> {
      await db(table).insert({ ...run, seen_at: run.started_at, state: 'running', report: text(run.report) });
    },

    /** How far it is. */
    async note(id: string, report: Run['report'], now: number): Promise<void> {
      await db(table)
        .where({ id, state: 'running' })
        .update({ report: text(report), seen_at: now });
    },

    async end(id: string, report: Run['report'], failure: RunFailure | null, now: number): Promise<void> {
      const failed = { error_code: failure?.code ?? null, error: failure?.message ?? null };
      const state = failure === null ? 'done' : 'failed';
      const change = { report: text(report), state, ...failed, seen_at: now, ended_at: now };
      await db(table).where({ id, state: 'running' }).update(change);
    },

    async get(id: string, now: number): Promise<Run | null> {
      const row: Row<Run> | undefined = await db(table).where({ id }).first();
      return row === undefined ? null : fromRow(row, now);
    },

    /** The newest first. */
    async list(limit: number, now: number): Promise<Run[]> {
      const rows: Array<Row<Run>> = await db(table).orderBy('id', 'desc').limit(limit);
      return rows.map((row) => fromRow(row, now));
    },
  };
}

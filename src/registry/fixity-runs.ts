import type { Knex } from 'knex';
import type { FixityReport } from '../core/fixity-report.ts';
import type { PackageId } from '../core/ids.ts';
import { type RunRecord, runTable } from './runs.ts';

/** A reading that somebody asked for. */
export interface FixityRunRecord extends RunRecord {
  /** Whose objects; null: all. */
  package_id: PackageId | null;
  /** Percent of the objects; null: all. */
  sample: number | null;
  report: FixityReport;
}

export function fixityRunTable(db: Knex) {
  return runTable<FixityRunRecord>(db, 'fixity_runs');
}

export type FixityRunTable = ReturnType<typeof fixityRunTable>;

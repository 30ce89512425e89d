import type { PackageStatus } from '../core/package-state.ts';
import type { FixityRunRecord } from '../registry/fixity-runs.ts';
import type { ObjectTotals } from '../registry/object-rows.ts';
import type { PackageTotals } from '../registry/package-totals.ts';
import type { SweepRecord } from '../registry/sweeps.ts';
import { type FixityState, fixityState } from './fixity-state.ts';
import type { Services } from './services.ts';

const SHOWN = 5;

/** What an operator asks of the store as a whole. */
export interface OperatorView {
  objects: ObjectTotals;
  packages: Record<PackageStatus, PackageTotals>;
  uploads: Awaited<ReturnType<Services['registry']['read']['uploads']['countUnended']>>;
  fixity: FixityState;
  readings: FixityRunRecord[];
  sweeps: SweepRecord[];
  /** When the newest sweep that acted ended, ms; null: none has. */
  swept_at: number | null;
  now: number;
}

/** Reads the row of every object. */
export async function operatorView(services: Services): Promise<OperatorView> {
  const { read } = services.registry;
  return {
    objects: await read.blobs.totals(),
    packages: await read.packages.totals(),
    uploads: await read.uploads.countUnended(),
    fixity: await fixityState(services),
    readings: await read.fixityRuns.list(SHOWN, await read.now()),
    sweeps: await read.sweeps.list(SHOWN, await read.now()),
    swept_at: await read.sweeps.lastDone(),
    now: await read.now(),
  };
}

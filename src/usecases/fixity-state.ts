import { type DamagedItems, damagedItems } from './damaged-files.ts';
import { type FixityCoverage, fixityCoverage } from './fixity.ts';
import type { FixitySchedule, Services } from './services.ts';

export interface FixityState extends FixitySchedule {
  coverage: FixityCoverage;
  /** Of all living packages. */
  damaged: DamagedItems;
}

/** Damaged files that an answer names. */
const NAMED = 1_000;

/** How much was read within the period, and what is damaged. Reads the row of every object. */
export async function fixityState({ registry, fixity }: Services): Promise<FixityState> {
  const totals = await registry.read.blobs.totals();
  const coverage = await fixityCoverage(registry, totals, fixity.period);
  return { ...fixity, coverage, damaged: await damagedItems(registry.read, null, NAMED) };
}

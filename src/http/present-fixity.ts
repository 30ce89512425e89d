import type * as wire from '../api/types.ts';
import type { DamagedItems } from '../usecases/damaged-files.ts';
import type { FixityRun } from '../usecases/fixity-runs.ts';
import type { FixityState } from '../usecases/fixity-state.ts';
import type { FixityRunRecord } from '../usecases/records.ts';
import { iso } from './present.ts';

export function presentFixity(state: FixityState, runs: readonly FixityRunRecord[]): wire.Fixity {
  const { period, rate, coverage, damaged } = state;
  const { oldest_seen_at: oldest } = coverage;
  return {
    period_seconds: period === null ? null : period / 1_000,
    bytes_per_second: rate,
    ...coverage,
    oldest_seen_at: oldest === null ? null : iso(oldest),
    damaged: presentDamaged(damaged),
    runs: runs.map(presentRun),
  };
}

export function presentFixityRun({ run, damaged }: FixityRun): wire.FixityRun {
  return { ...presentRun(run), damaged: presentDamaged(damaged) };
}

function presentRun(run: FixityRunRecord): wire.Fixity['runs'][number] {
  const { started_at, seen_at: _, ended_at, error, error_code, ...rest } = run;
  return {
    ...rest,
    error: error === null ? null : { code: error_code ?? 'internal', detail: error },
    started_at: iso(started_at),
    ended_at: ended_at === null ? null : iso(ended_at),
  };
}

function presentDamaged({ items, more }: DamagedItems): wire.Fixity['damaged'] {
  return {
    items: items.map((item) => ({
      ...item,
      last_good_at: item.last_good_at === 0 ? null : iso(item.last_good_at),
      found_at: iso(item.found_at),
    })),
    more,
  };
}

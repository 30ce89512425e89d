import type * as wire from '../api/types.ts';
import type { SweepRecord } from '../usecases/records.ts';

export function presentSweep({
  started_at,
  seen_at: _,
  ended_at,
  error,
  error_code,
  ...sweep
}: SweepRecord): wire.Sweep {
  return {
    ...sweep,
    error: error === null ? null : { code: error_code ?? 'internal', detail: error },
    started_at: new Date(started_at).toISOString(),
    ended_at: ended_at === null ? null : new Date(ended_at).toISOString(),
  };
}

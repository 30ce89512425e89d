import { ArtifactStoreError } from './error.ts';
import type { Run } from './run.ts';
import type { RetentionOf } from './types.ts';

export function retentionOf(run: Run): RetentionOf {
  return {
    get: (id, { signal } = {}) => run(signal, (job) => job.retention(id)),
    extend: (id, { reason, ...by }, { signal } = {}) =>
      run(signal, async (job) => {
        const until = 'days' in by ? { days: by.days } : { expires_at: timeOf(by.until) };
        return job.extendRetention(id, { ...until, reason });
      }),
    hold: (id, hold, { signal } = {}) => run(signal, (job) => job.placeHold(id, hold)),
    release: (id, holdId, reason, { signal } = {}) => run(signal, (job) => job.releaseHold(id, holdId, reason)),
  };
}

function timeOf(until: Date | string): string {
  const time = new Date(until);
  if (!Number.isNaN(time.getTime())) return time.toISOString();
  throw new ArtifactStoreError(`${JSON.stringify(String(until))} is not a time.`, { code: 'wrong_usage' });
}

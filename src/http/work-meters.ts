import { Counter, Gauge, type Registry as PrometheusRegistry } from 'prom-client';
import { WORK_NAMES, type WorkName } from '../core/work-names.ts';
import { COMMIT_RESULTS, type Meters, RECOVERED } from '../usecases/meters.ts';

/** What this process has done, by its use cases and in the background. */
export interface WorkMeters extends Meters {
  /** Background work has ended. */
  worked(work: WorkName, result: 'done' | 'failed'): void;
}

/** Every label is one of a few words: what has one begins at 0, or an alarm would not see its first increase. */
export function workMeters(register: PrometheusRegistry): WorkMeters {
  const registers = [register];
  const counter = (name: string, help: string) =>
    new Counter({ name: `artifact_store_${name}_total`, help, registers });
  const counterBy = <Label extends string>(name: string, help: string, label: Label, words: readonly string[]) => {
    const counter = new Counter({ name: `artifact_store_${name}_total`, help, labelNames: [label], registers });
    for (const word of words) counter.inc({ [label]: word } as Record<Label, string>, 0);
    return (word: string, count = 1) => counter.inc({ [label]: word } as Record<Label, string>, count);
  };
  const results = ['done', 'failed'];
  const commits = counterBy('commits', 'Uploads that ended committed or failed, by result', 'result', COMMIT_RESULTS);
  const verified = counterBy(
    'verified_bytes',
    'Stored bytes of committed objects: read back and hashed, or bound by storage to their digest',
    'how',
    ['read', 'bound'],
  );
  const damaged = counter('damaged', 'Reads that found stored bytes changed or missing');
  const sweeps = counterBy('sweeps', 'Sweeps that ended, by result', 'result', results);
  const freedObjects = counter('freed_objects', 'Objects that sweeps removed');
  const freedBytes = counter('freed_bytes', 'Bytes in storage that sweeps freed');
  const rewrittenBytes = counter('rewritten_bytes', 'Bytes in storage that sweeps wrote in the place of sparse packs');
  const sweepRequests = counter('sweep_requests', 'Requests to storage that sweeps made');
  const checkedObjects = counterBy(
    'fixity_checked_objects',
    'Objects that fixity checks read, by result: good, damaged, missing, unread (no verdict)',
    'result',
    ['good', 'damaged', 'missing', 'unread'],
  );
  const checkedBytes = counter('fixity_checked_bytes', 'Bytes in storage of those objects');
  const recovered = new Counter({
    name: 'artifact_store_recovered_total',
    help: 'What recovery ended, by what it was and by result; what failed is tried again',
    labelNames: ['what', 'result'],
    registers,
  });
  for (const what of RECOVERED) for (const result of results) recovered.inc({ what, result }, 0);
  const runs = new Counter({
    name: 'artifact_store_background_runs_total',
    help: 'Runs of background work that ended, by work and result',
    labelNames: ['work', 'result'],
    registers,
  });
  for (const work of WORK_NAMES) for (const result of results) runs.inc({ work, result }, 0);
  const succeededAt = new Gauge({
    name: 'artifact_store_background_last_success_timestamp_seconds',
    help: 'When background work last ended well (since 1970), by work',
    labelNames: ['work'],
    registers,
  });
  return {
    committed: (result) => commits(result),
    verified,
    damaged: () => damaged.inc(),
    swept({ freed, rewritten, requests }, result) {
      sweeps(result);
      freedObjects.inc(freed.count);
      freedBytes.inc(freed.bytes);
      rewrittenBytes.inc(rewritten.bytes);
      sweepRequests.inc(requests);
    },
    checked(result, size) {
      checkedObjects(result);
      checkedBytes.inc(size);
    },
    recovered: (what, result) => recovered.inc({ what, result }),
    worked(work, result) {
      runs.inc({ work, result });
      if (result === 'done') succeededAt.set({ work }, Date.now() / 1_000);
    },
  };
}

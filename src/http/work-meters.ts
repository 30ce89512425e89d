import { Counter, Gauge, type Registry as PrometheusRegistry } from 'prom-client';
import { WORK_NAMES, type WorkName } from '../core/work-names.ts';
import { COMMIT_RESULTS, type Meters, RECOVERED, WEBHOOK_RESULTS } from '../usecases/meters.ts';

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
  const counterBy = <Label extends string>(name: string, help: string, words: Record<Label, readonly string[]>) => {
    const labelNames = Object.keys(words) as Label[];
    const made = new Counter({ name: `artifact_store_${name}_total`, help, labelNames, registers });
    for (const labels of combined<Label>(words)) made.inc(labels, 0);
    return made;
  };
  const result = ['done', 'failed'];
  const commits = counterBy('commits', 'Uploads that ended committed or failed, by result', {
    result: COMMIT_RESULTS,
  });
  const verified = counterBy(
    'verified_bytes',
    'Stored bytes of committed objects: read back and hashed, or bound by storage to their digest',
    { how: ['read', 'bound'] },
  );
  const damaged = counter('damaged', 'Reads that found stored bytes changed or missing');
  const sweeps = counterBy('sweeps', 'Sweeps that ended, by result', { result });
  const freedObjects = counter('freed_objects', 'Objects that sweeps removed');
  const freedBytes = counter('freed_bytes', 'Bytes in storage that sweeps freed');
  const rewrittenBytes = counter('rewritten_bytes', 'Bytes in storage that sweeps wrote in the place of sparse packs');
  const sweepRequests = counter('sweep_requests', 'Requests to storage that sweeps made');
  const checkedObjects = counterBy(
    'fixity_checked_objects',
    'Objects that fixity checks read, by result: good, damaged, missing, unread (no verdict)',
    { result: ['good', 'damaged', 'missing', 'unread'] },
  );
  const checkedBytes = counter('fixity_checked_bytes', 'Bytes in storage of those objects');
  const recovered = counterBy(
    'recovered',
    'What recovery ended, by what it was and by result; what failed is tried again',
    { what: RECOVERED, result },
  );
  const webhooks = counterBy(
    'webhook_attempts',
    'Attempts to send an event to a webhook, by result; dead: the last one failed, too',
    { result: WEBHOOK_RESULTS },
  );
  const runs = counterBy('background_runs', 'Runs of background work that ended, by work and result', {
    work: WORK_NAMES,
    result,
  });
  const succeededAt = new Gauge({
    name: 'artifact_store_background_last_success_timestamp_seconds',
    help: 'When background work last ended well (since 1970), by work',
    labelNames: ['work'],
    registers,
  });
  return {
    committed: (result) => commits.inc({ result }),
    verified: (how, bytes) => verified.inc({ how }, bytes),
    damaged: () => damaged.inc(),
    swept({ freed, rewritten, requests }, result) {
      sweeps.inc({ result });
      freedObjects.inc(freed.count);
      freedBytes.inc(freed.bytes);
      rewrittenBytes.inc(rewritten.bytes);
      sweepRequests.inc(requests);
    },
    checked(result, size) {
      checkedObjects.inc({ result });
      checkedBytes.inc(size);
    },
    webhook: (result) => webhooks.inc({ result }),
    recovered: (what, result) => recovered.inc({ what, result }),
    worked(work, result) {
      runs.inc({ work, result });
      if (result === 'done') succeededAt.set({ work }, Date.now() / 1_000);
    },
  };
}

/** Every choice of one word for each label. */
function combined<Label extends string>(words: Record<Label, readonly string[]>): Array<Record<Label, string>> {
  let all = [{}] as Array<Record<Label, string>>;
  for (const label of Object.keys(words) as Label[])
    all = all.flatMap((labels) => words[label].map((word) => ({ ...labels, [label]: word })));
  return all;
}

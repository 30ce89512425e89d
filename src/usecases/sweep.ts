import { StoreError } from '../core/errors.ts';
import { newId } from '../core/ids.ts';
import { DEFAULT_REWRITE } from '../core/rewrite-rules.ts';
import { emptyReport } from '../core/sweep-report.ts';
import type { SweepRecord } from '../registry/sweeps.ts';
import { notedRun } from './noted-run.ts';
import { type Caller, type Services, SYSTEM, type WithDecisions, type WithUploads } from './services.ts';
import type { SweepOptions } from './sweep-order.ts';
import { runSweep } from './sweep-run.ts';

type Needed = Services<WithUploads & WithDecisions>;

/** Begins a sweep, which goes on after the answer. @returns as it is in the registry @throws StoreError unavailable */
export async function startSweep(services: Needed, caller: Caller, options: SweepOptions): Promise<SweepRecord> {
  const { registry } = services;
  const report = emptyReport();
  const { sweep, now } = await registry.transaction(async (tables) => {
    const now = await tables.now();
    const { apply, reconcile } = options;
    const sweep = { id: newId('swp', now), asked_by: caller.actor, apply, reconcile, started_at: now, report };
    await tables.sweeps.add(sweep);
    return { sweep, now };
  });
  services.inBackground('sweep', sweep.id, async (signal) => {
    const note = () => registry.transaction(async ({ sweeps, now }) => sweeps.note(sweep.id, report, await now()));
    const work = () => runSweep(services, caller, options, report, signal);
    const failure = await notedRun(services, { name: 'a sweep', id: sweep.id }, note, work, signal);
    services.meters.swept(report, failure === null ? 'done' : 'failed');
    await registry.transaction(async (tables) => tables.sweeps.end(sweep.id, report, failure, await tables.now()));
    services.log.info({ sweep: sweep.id, apply: options.apply, ...report }, 'a sweep ended');
  });
  return (await registry.read.sweeps.get(sweep.id, now)) as SweepRecord;
}

/** @throws StoreError sweep_not_found */
export async function getSweep({ registry }: Services, id: string): Promise<SweepRecord> {
  const sweep = await registry.read.sweeps.get(id, await registry.read.now());
  if (sweep === null) throw new StoreError('sweep_not_found', `There is no sweep ${JSON.stringify(id.slice(0, 100))}.`);
  return sweep;
}

/** The newest first. */
export async function listSweeps({ registry }: Services, limit: number): Promise<SweepRecord[]> {
  return registry.read.sweeps.list(limit, await registry.read.now());
}

/** What the schedule does whenever it looks: of any number of services one begins a sweep. @param interval ms */
export async function sweepWhenDue(services: Needed, interval: number): Promise<void> {
  const isDue = await services.registry.transaction(async ({ sweeps, now }) => sweeps.isDue(await now(), interval));
  if (isDue) await startSweep(services, SYSTEM, { apply: true, reconcile: false, rewrite: DEFAULT_REWRITE });
}

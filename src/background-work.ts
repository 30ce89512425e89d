import { type Background, within } from './background.ts';
import type { ConfiguredBlobs } from './configured-blobs.ts';
import type { WebhookId } from './core/ids.ts';
import type { HttpServices } from './http/route.ts';
import { quickCheck } from './registry/quick-check.ts';
import type { Registry } from './registry/registry.ts';
import type { StoreIdentification } from './store-identification.ts';
import { checkDue } from './usecases/fixity.ts';
import { lockBehind } from './usecases/lock-behind.ts';
import { recover } from './usecases/recover.ts';
import type { Log } from './usecases/services.ts';
import { stampCheckpoint, type TimeStampAuthority } from './usecases/stamp-checkpoint.ts';
import { sweepWhenDue } from './usecases/sweep.ts';
import { beginDeliveries } from './usecases/webhook-rounds.ts';

/*
 * What a service does beside its answers: at its start, by its schedules, and at its end.
 */

const RECOVERY_INTERVAL_MS = 60_000;
/** How often storage is told of locks that it was not told of. */
export const LOCKS_INTERVAL_MS = 60_000;
/** How often new audit events are brought into the log. */
export const LOG_INTERVAL_MS = 5_000;
/** How often it is looked whether a checkpoint is to be stamped, and how soon an authority that has failed is asked again. */
export const TIME_STAMP_LOOK_MS = 60_000;
/** Between two stamps, of all services. */
export const TIME_STAMP_INTERVAL_MS = 600_000;
/** How often it is looked whether there is something to send. */
export const WEBHOOKS_LOOK_MS = 2_000;
/** How often the schedule is looked at, at least. */
const SWEEP_LOOK_MS = 60_000;
/** How often it is looked whether an object is to be read again. */
export const FIXITY_LOOK_MS = 60_000;
/** How long a stop waits for background work; the same time again once nothing waits for storage any more. */
const BACKGROUND_PATIENCE_MS = 5_000;

/** What needs the blob store, and so may take long, comes when the service listens already. */
export function startBackground(
  { start, repeat }: Background,
  services: HttpServices,
  identification: StoreIdentification,
  afterStart: ConfiguredBlobs['afterStart'],
): { ended: Promise<void>; settled: Promise<void> } {
  const identified = start('identity', (signal) => identification.settle(signal));
  const recovered = repeat('recovery', RECOVERY_INTERVAL_MS, async (signal) => {
    await identified;
    if (identification.id() !== null) await recover(services, signal);
  });
  const begun: Array<{ owned: boolean; done: Promise<unknown> }> = [];
  for (const { name, owned, work } of afterStart) {
    const before = begun.at(-1)?.done;
    const after = owned ? Promise.all([before, identified]) : before;
    const done = start(name, async (signal) => {
      await after;
      if (!owned || identification.id() !== null) await work(signal);
    });
    begun.push({ owned, done });
  }
  const ended = Promise.all([identified, recovered, ...begun.map(({ done }) => done)]).then(() => {});
  const unowned = begun.filter(({ owned }) => !owned).map(({ done }) => done);
  const waits = Promise.all([identification.unanswered, ...unowned]).then(() => {});
  return { ended, settled: Promise.race([ended, waits]) };
}

/** What a crash, or storage that did not answer, left untold. Any service does it: what is told twice changes nothing. */
export function scheduleLocks(beside: Background, services: HttpServices, pause: number, started: Promise<void>): void {
  if (services.blobs.locks === null) return;
  started.then(() =>
    beside.repeat('locks', pause, async (signal) => {
      if (services.storeId() !== null) await lockBehind(services, signal);
    }),
  );
}

/** Any service does it, also several at once. */
export function scheduleLog(beside: Background, services: HttpServices, pause: number, started: Promise<void>): void {
  started.then(() =>
    beside.repeat('audit_log', pause, async (signal) => {
      if (services.storeId() !== null) await services.auditLog.keepUp(signal);
    }),
  );
}

/** Beside the log, so that an authority that does not answer holds up nothing. */
export function scheduleTimeStamps(
  beside: Background,
  services: HttpServices,
  { look, interval }: { look: number; interval: number },
  authority: TimeStampAuthority,
  started: Promise<void>,
): void {
  started.then(() =>
    beside.repeat('time_stamps', look, async (signal) => {
      if (services.storeId() !== null) await stampCheckpoint(services, authority, interval, signal);
    }),
  );
}

/** Any service looks, and of all of them one sweeps in each interval. */
export function scheduleSweeps(
  beside: Background,
  services: HttpServices,
  interval: number,
  started: Promise<void>,
): void {
  const pause = Math.min(interval, SWEEP_LOOK_MS);
  started.then(() => beside.repeat('sweep_schedule', pause, () => sweepWhenDue(services, interval)));
}

/** Any service looks, and all of them share what is to be read. What a read found to be wrong is read again in any case. */
export function scheduleFixity(beside: Background, services: HttpServices, look: number, started: Promise<void>): void {
  started.then(() =>
    beside.repeat('fixity', look, async (signal) => {
      if (services.storeId() !== null) await checkDue(services, signal);
    }),
  );
}

/** Any service looks, and of all of them one sends for a webhook at a time. */
export function scheduleWebhooks(
  beside: Background,
  services: HttpServices,
  look: number,
  started: Promise<void>,
): void {
  const sending = new Set<WebhookId>();
  started.then(() =>
    beside.repeat('webhooks', look, async () => {
      if (services.storeId() !== null) await beginDeliveries(services, sending);
    }),
  );
}

/** A registry whose pages are damaged says so when it is asked for one of them, and here before. */
export async function checkRegistry(
  { damage }: Registry,
  file: string,
  log: Log,
  signal: AbortSignal,
  delay?: number,
): Promise<void> {
  const found = await quickCheck(file, signal, delay);
  if (found === null) return;
  damage.note('quick_check');
  log.error({ found }, 'the registry is damaged: restore it from a backup');
}

export async function endBackground(
  beside: Background,
  { running }: HttpServices,
  closeStore: () => Promise<void>,
): Promise<void> {
  const completions = Promise.allSettled(running.values());
  const ended = Promise.all([beside.stop(), completions]);
  if (await within(BACKGROUND_PATIENCE_MS, ended)) return;
  await closeStore();
  await within(BACKGROUND_PATIENCE_MS, ended);
}

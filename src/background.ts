import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkName } from './core/work-names.ts';
import type { Log } from './usecases/services.ts';

/**
 * The service's background work. None of it keeps the service from listening; /readyz lists the start-up work that has
 * not finished.
 */
export interface Background {
  /** Names of what was begun by `start` and has not ended. */
  underWay(): WorkName[];
  /** @param work is to end when the signal says so; what it throws is logged */
  start(name: WorkName, work: (signal: AbortSignal) => Promise<unknown>): Promise<void>;
  /** The same, but not told as under way. @param id what else the log is told, when there are several of the name */
  run(name: WorkName, work: (signal: AbortSignal) => Promise<unknown>, id?: string): Promise<void>;
  /**
   * Runs at once, and again so long after each end, ms. Told as under way the first time only.
   * @returns when it has ended for the first time
   */
  repeat(name: WorkName, pause: number, work: (signal: AbortSignal) => Promise<unknown>): Promise<void>;
  /** Tells all of it to end. @returns when it has ended */
  stop(): Promise<void>;
}

/** @param worked told of each end but those that a stop has brought about */
export function background(log: Log, worked: (name: WorkName, result: 'done' | 'failed') => void): Background {
  const ending = new AbortController();
  const under = new Set<WorkName>();
  const running = new Set<Promise<void>>();

  async function run(name: WorkName, work: (signal: AbortSignal) => Promise<unknown>, id?: string): Promise<void> {
    const done = work(ending.signal).then(
      () => worked(name, 'done'),
      (err) => {
        if (ending.signal.aborted) return;
        worked(name, 'failed');
        log.error({ err, run: id }, `${name} failed`);
      },
    );
    running.add(done);
    await done;
    running.delete(done);
  }

  async function start(name: WorkName, work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    under.add(name);
    await run(name, work);
    under.delete(name);
  }

  async function again(name: WorkName, pause: number, work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    while (!ending.signal.aborted) {
      await sleep(pause, undefined, { ref: false, signal: ending.signal }).catch(() => {});
      if (!ending.signal.aborted) await run(name, work);
    }
  }

  return {
    underWay: () => [...under],
    start,
    run,
    repeat(name, pause, work) {
      // Who waited until it was time to begin may come too late.
      if (ending.signal.aborted) return Promise.resolve();
      const first = start(name, work);
      first.then(() => again(name, pause, work));
      return first;
    },
    async stop() {
      ending.abort(new Error('the service is stopping'));
      await Promise.all(running);
    },
  };
}

/** @returns whether the work has ended in time; what it throws is not told */
export async function within(patience: number, work: Promise<unknown>): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(patience, false, { signal: timer.signal }).catch(() => false);
  const ended = work.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([ended, late]);
  } finally {
    timer.abort();
  }
}

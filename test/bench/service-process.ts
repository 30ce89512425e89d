import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The built command line, as an installation's link starts it. */
export const BIN = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url));

/**
 * perf_hooks counts the time from one firing of a timer to the next, the interval that it was set to among it: of an idle
 * process it says a little more than this. Seconds; prom-client's `eventLoopMonitoringPrecision`.
 */
const SAMPLED_EVERY = 0.01;

/** The built service as a process of its own. */
export interface ServiceProcess {
  url: string;
  /** Most resident memory since the last `forget`, MiB. */
  peakMemory(): number;
  /** Seconds of user and system time since it started. */
  cpu(): number;
  /** Seconds that the event loop was late at the 99th percentile since this was asked last (perf_hooks). */
  eventLoopDelay(): Promise<number>;
  /** What is measured next begins here. */
  forget(): Promise<void>;
  stop(): Promise<void>;
}

/** @param bin the command line to run */
export async function startServiceProcess(env: Record<string, string>, bin = BIN): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [bin, 'serve', '--json'], {
    env: { ...process.env, ARTIFACT_STORE_PORT: '0', ARTIFACT_STORE_LOG_LEVEL: 'error', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', (code) => reject(new Error(`the service ended with ${code}`)));
  });
  const { url } = JSON.parse(line) as { url: string };
  // A bucket is probed first: until then everything is read back.
  while ((((await (await fetch(`${url}/readyz`)).json()) as { under_way: string[] }).under_way ?? []).length > 0);
  const eventLoopDelay = async (): Promise<number> => {
    const text = await (await fetch(`${url}/metrics`)).text();
    const interval = Number(/^nodejs_eventloop_lag_p99_seconds (\S+)/m.exec(text)?.[1]);
    return Math.max(0, interval - SAMPLED_EVERY);
  };
  return {
    url,
    eventLoopDelay,
    peakMemory: () => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024,
    cpu() {
      // Fields 14 and 15 of proc(5) stat, in ticks of 10 ms; the name before them is in brackets.
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    },
    async forget() {
      // proc(5): 5 sets the peak back to what is resident now.
      writeFileSync(`/proc/${child.pid}/clear_refs`, '5');
      await eventLoopDelay();
    },
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve());
        child.kill('SIGTERM');
      }),
  };
}

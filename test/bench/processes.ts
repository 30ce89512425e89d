import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface Ran {
  code: number | null;
  seconds: number;
  out: string;
  err: string;
}

export function run(command: string, args: string[], env: Record<string, string> = {}): Promise<Ran> {
  const started = performance.now();
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, seconds: (performance.now() - started) / 1_000, out, err }));
  });
}

export interface RunningService {
  url: string;
  /** Peak resident memory so far, MiB. */
  peakMemory(): number;
  /** Seconds of user and system time so far. */
  cpu(): number;
  stop(): Promise<void>;
}

/** The built service as a process of its own. */
export async function startService(bin: string, dataDir: string): Promise<RunningService> {
  const child: ChildProcess = spawn(process.execPath, [bin, 'serve', '--json'], {
    env: {
      ...process.env,
      ARTIFACT_STORE_PORT: '0',
      ARTIFACT_STORE_DATA_DIR: dataDir,
      ARTIFACT_STORE_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = (await new Promise((resolve, reject) => {
    if (child.stdout) createInterface({ input: child.stdout }).once('line', (text) => resolve([text]));
    child.once('exit', (code) => reject(new Error(`the service ended with ${code}`)));
  })) as [string];
  return {
    url: (JSON.parse(line) as { url: string }).url,
    peakMemory: () => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024,
    cpu() {
      // Fields 14 and 15 of proc(5) stat, in ticks of 10 ms; the name before them is in brackets.
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    },
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve());
        child.kill('SIGTERM');
      }),
  };
}

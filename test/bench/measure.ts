import { spawn } from 'node:child_process';
import { accessSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Measured {
  /** Of the whole process, from its start to its end. */
  seconds: number;
  /** User and system time, of it and its children. */
  cpu: number;
  /** The most that one of its processes had resident, MiB. */
  memory: number;
  out: string;
}

export interface RunOptions {
  env?: Record<string, string> | undefined;
  cwd?: string | undefined;
}

const TIME = '/usr/bin/time';

/** GNU time tells what Node does not: the memory and CPU time of another process. */
export function assertMeasurable(): void {
  try {
    accessSync(TIME);
  } catch {
    throw new Error('The bench needs GNU time: apt-get install -y --no-install-recommends time');
  }
}

/** Runs a program to its end. @throws Error with what it said, when it fails */
export async function measure(command: string, args: readonly string[], options: RunOptions = {}): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'artifact-store-time-'));
  const file = join(folder, 'time');
  try {
    const started = performance.now();
    const { code, out, err } = await run(TIME, ['-q', '-o', file, '-f', '%U %S %M', command, ...args], options);
    const seconds = (performance.now() - started) / 1_000;
    if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${out}${err}`);
    const [user = 0, system = 0, memory = 0] = readFileSync(file, 'utf8').trim().split(' ').map(Number);
    return { seconds, cpu: user + system, memory: memory / 1024, out };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

export function run(command: string, args: readonly string[], { env, cwd }: RunOptions = {}): Promise<Ran> {
  const child = spawn(command, args, { env: { ...ownEnvironment(), ...env }, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, out, err }));
  });
}

/** Without what somebody has set for the tools that are measured. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env);
  return Object.fromEntries(entries.filter(([name]) => !/^(AWS|RCLONE|RESTIC|BORG|ARTIFACT_STORE)_/.test(name)));
}

/** The smallest value that at least this share of all is no larger than. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

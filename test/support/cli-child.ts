import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { CliResult } from './cli-process.ts';
import { processEnv } from './process-env.ts';

export interface CliOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** Run as this user and group: permissions mean nothing to root. */
  uid?: number;
  /** Open files that take its output in the place of pipes. */
  stdout?: number;
  stderr?: number;
  /** A program, and its arguments, that runs the command line it is given. */
  under?: readonly string[];
  /** The process, for signals. */
  onSpawn?: (child: ChildProcess) => void;
}

export interface CliEnding extends CliResult {
  signal: NodeJS.Signals | null;
  /** stdout as it came. */
  bytes: Buffer;
}

const BIN = resolve(import.meta.dirname, '../../cli/bin.ts');

/** The command line as a child process that a test may kill, or run elsewhere or as somebody else. */
export async function runCli(args: string[], options: CliOptions = {}): Promise<CliEnding> {
  const { env, cwd, uid, under = [], onSpawn, stdout: to = 'pipe', stderr: notes = 'pipe' } = options;
  const [program, ...rest] = [...under, process.execPath, BIN, ...args] as [string, ...string[]];
  const child = spawn(program, rest, {
    env: processEnv(env),
    stdio: ['ignore', to, notes],
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  onSpawn?.(child);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((end, fail) => {
    child.once('error', fail).once('close', (...how) => end(how));
  });
  const bytes = Buffer.concat(out);
  const stdout = bytes.toString();
  return { code, signal, bytes, stdout, stderr: Buffer.concat(err).toString(), json: parse(stdout) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

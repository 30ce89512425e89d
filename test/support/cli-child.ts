import { type ChildProcess, spawn } from 'node:child_process';
import { CliHosts } from './cli-hosts.ts';
import { BIN } from './command.ts';
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
  /** A process of its own: the next command finds that it has ended. */
  alone?: boolean;
  /** The process, for signals. */
  onSpawn?: (child: ChildProcess) => void;
}

export interface CliEnding {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** stdout as JSON; undefined when it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are asserted on, field by field
  json: any;
  /** stdout as it came. */
  bytes: Buffer;
}

/** Of one test file, by the user that they run as. As many for each as pushes that a test has wait for each other. */
const hosts = new Map<number | undefined, CliHosts>();

function hostsOf(uid: number | undefined): CliHosts {
  const there = hosts.get(uid) ?? new CliHosts(3, uid);
  hosts.set(uid, there);
  return there;
}

/**
 * The command line. In a process of its own where the test has something to do with that process, and everywhere when
 * ARTIFACT_STORE_TEST_CLI=process (`npm run test:long`); else in one that runs several commands.
 */
export async function runCli(args: string[], options: CliOptions = {}): Promise<CliEnding> {
  if (!canBeHosted(options)) return runProcess(args, options);
  const { env = {}, cwd = process.cwd(), uid } = options;
  const { code, stdout, stderr } = await hostsOf(uid).run({ args, env: processEnv(env), cwd });
  return endingOf(code, null, stdout, stderr);
}

/** The command line with this environment beside what a process needs. */
export function cliOf(env: Record<string, string>): (...args: string[]) => Promise<CliEnding> {
  return (...args) => runCli(args, { env });
}

/** What the environment tells Node itself, or the system, is read when a process starts. */
const READ_BY_COMMANDS =
  /^(ARTIFACT_STORE_\w+|ACTIONS_ID_TOKEN_REQUEST_\w+|XDG_CACHE_HOME|NO_COLOR|TERM|\w+_PROXY|\w+_proxy)$/;

function canBeHosted({ env = {}, cwd: _cwd, uid: _uid, ...ofProcess }: CliOptions): boolean {
  if (process.env.ARTIFACT_STORE_TEST_CLI === 'process') return false;
  if (Object.values(ofProcess).some((option) => option !== undefined)) return false;
  return Object.keys(env).every((name) => READ_BY_COMMANDS.test(name));
}

/** A child process that a test may kill, or run elsewhere or as somebody else. */
async function runProcess(args: string[], options: CliOptions): Promise<CliEnding> {
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
  return endingOf(code, signal, Buffer.concat(out), Buffer.concat(err));
}

function endingOf(code: number | null, signal: NodeJS.Signals | null, bytes: Buffer, notes: Buffer): CliEnding {
  const stdout = bytes.toString();
  return { code, signal, bytes, stdout, stderr: notes.toString(), json: parse(stdout) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

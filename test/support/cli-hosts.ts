import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { bundledArgs, bundledEnv } from './bundled-sources.ts';
import type { HostedCommand, HostedEnding } from './cli-host.ts';
import { helperEnv } from './file-times.ts';
import { processEnv } from './process-env.ts';

const HOST = fileURLToPath(new URL('cli-host.ts', import.meta.url));

/**
 * Processes that run the command line, each one command after another: a command then costs what it does, not what it costs
 * to start Node and load every module. They end with the process that asks.
 */
export class CliHosts {
  /** How many commands run at once; others wait. */
  readonly #limit: number;
  readonly #idle: ChildProcess[] = [];
  readonly #waiting: Array<(host: ChildProcess) => void> = [];
  #started = 0;

  readonly #uid: number | undefined;

  /** @param uid the user and group that they run as */
  constructor(limit: number, uid?: number) {
    this.#limit = limit;
    this.#uid = uid;
  }

  /** @throws Error when the host ends instead of the command */
  async run(command: HostedCommand): Promise<HostedEnding> {
    const host = await this.#take();
    setReferenced(host, true);
    try {
      return await ask(host, command);
    } finally {
      setReferenced(host, false);
      this.#free(host);
    }
  }

  async #take(): Promise<ChildProcess> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#started === this.#limit) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#started += 1;
    return startHost(this.#uid);
  }

  #free(host: ChildProcess): void {
    const next = this.#waiting.shift();
    const ended = host.exitCode !== null || host.signalCode !== null;
    if (next !== undefined) next(ended ? startHost(this.#uid) : host);
    else if (ended) this.#started -= 1;
    else this.#idle.push(host);
  }
}

function startHost(uid: number | undefined): ChildProcess {
  const host = fork(HOST, {
    env: processEnv({ ...helperEnv(), ...bundledEnv() }),
    execArgv: bundledArgs(),
    serialization: 'advanced',
    // A pipe, because the command line takes a stdout of that kind for what `main` is given.
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  (host.stdout as Socket).unref();
  return host;
}

/** Whether this process lives on for it. */
function setReferenced(host: ChildProcess, referenced: boolean): void {
  const verb = referenced ? 'ref' : 'unref';
  host[verb]();
  host.channel?.[verb]();
}

async function ask(host: ChildProcess, command: HostedCommand): Promise<HostedEnding> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => {
      reject(new Error(`the process of "${command.args.join(' ')}" ended by itself: ${code}`));
    };
    host.once('exit', ended);
    host.once('message', (ending) => {
      host.off('exit', ended);
      resolve(ending as HostedEnding);
    });
    host.send(command);
  });
}

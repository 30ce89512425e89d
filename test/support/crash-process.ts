import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { bundledArgs } from './bundled-sources.ts';
import type { Counts, CrashPlan, CrashRequest } from './crash-point.ts';
import { untilFrozen } from './frozen.ts';

/** A service in a process of its own, which a test kills and freezes (crash-point.ts). */
export interface CrashProcess {
  url: string;
  /** It has died, or frozen itself. */
  stopped: Promise<unknown>;
  exited: Promise<unknown>;
  /** From now on effects are counted anew, and the one of the plan stops it. */
  arm(plan: CrashPlan | null): Promise<void>;
  counts(): Promise<Counts>;
  /** Recovery as it runs every minute, after whatever this process is completing has ended. */
  recover(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** @returns when it stands still */
  freeze(): Promise<void>;
  kill(): Promise<void>;
}

/** @param script a module that calls `crashPoint` @throws Error when it ends before it listens */
export async function startCrashProcess(script: URL, options: object): Promise<CrashProcess> {
  const child = fork(script, [JSON.stringify(options)], {
    execArgv: bundledArgs(),
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const answered = async (): Promise<unknown> => {
    const died = exited.then(([code, signal]) => {
      throw new Error(`the service ended with ${code ?? signal} before it answered`);
    });
    return Promise.race([once(child, 'message').then(([message]) => message), died]);
  };
  const { url } = (await answered()) as { url: string };
  const ask = async (what: CrashRequest): Promise<unknown> => {
    const answer = answered();
    child.send(what);
    return answer;
  };
  return {
    url,
    exited,
    stopped: Promise.race([exited, once(child.stdout as Readable, 'data').then(() => untilFrozen(child))]),
    arm: async (plan) => {
      await ask({ arm: plan });
    },
    counts: async () => (await ask('counts')) as Counts,
    recover: async () => {
      await ask('recover');
    },
    signal: (signal) => {
      child.kill(signal);
    },
    freeze: async () => {
      child.kill('SIGSTOP');
      await untilFrozen(child);
    },
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

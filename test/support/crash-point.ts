import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync, writeSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Service } from '../../src/server.ts';
import { recover } from '../../src/usecases/recover.ts';

/** The phases of a push. An effect belongs to the request that causes it. */
export const PHASES = ['register', 'part', 'commit', 'verify', 'finalize'] as const;
export type Phase = (typeof PHASES)[number];
export type Counts = Partial<Record<Phase, number>>;

/** Die or freeze before the n-th effect of a phase. */
export interface CrashPlan {
  phase: Phase;
  nth: number;
  action: 'SIGKILL' | 'SIGSTOP';
}

/** What the test asks of the process; each is answered by one message. */
export type CrashRequest = { arm: CrashPlan | null } | 'counts' | 'recover';

export interface CrashPoint {
  /** The request that what runs now belongs to, as in `POST /v1/packages`. */
  request(): string;
  /** Something is about to happen, for this request. @param verifying a commit is reading what it completed */
  effect(request: string, verifying?: boolean): void;
  /** Tells the test where the service is, and then does as it asks. */
  serve(service: Service): void;
}

/**
 * In the process of a real service: counts the effects of each phase, and kills or freezes the process at the one that the
 * test has named. @param acknowledged the file to which every 200 of a commit or finalize is written before it is sent
 */
export function crashPoint(acknowledged: string): CrashPoint {
  const current = new AsyncLocalStorage<string>();
  let plan: CrashPlan | null = null;
  let counts: Counts = {};

  subscribe('http.server.request.start', (message) => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
    const url = `${request.method} ${request.url?.replace(/\?.*/, '')}`;
    current.enterWith(url);
    const { writeHead } = response;
    response.writeHead = function acknowledge(this: ServerResponse, ...args: never[]) {
      const status = (args[0] as unknown as number) ?? response.statusCode;
      if (status === 200 && /\/(commit|finalize)$/.test(url)) appendFileSync(acknowledged, `${url}\n`);
      return writeHead.apply(this, args as never);
    } as typeof writeHead;
  });

  async function answer(service: Service, asked: CrashRequest): Promise<Counts> {
    if (asked === 'recover') {
      await Promise.allSettled(service.services.running.values());
      await recover(service.services);
    } else if (asked !== 'counts') {
      plan = asked.arm;
      counts = {};
    }
    return counts;
  }

  return {
    request: () => current.getStore() ?? '',
    effect(request, verifying = false) {
      const phase = phaseOf(request, verifying);
      if (phase === null) return;
      counts[phase] = (counts[phase] ?? 0) + 1;
      if (plan?.phase !== phase || counts[phase] !== plan.nth) return;
      if (plan.action === 'SIGSTOP') writeSync(1, 'frozen\n');
      process.kill(process.pid, plan.action);
    },
    serve(service) {
      process.on('disconnect', () => process.exit());
      process.on('message', async (asked: CrashRequest) => process.send?.(await answer(service, asked)));
      service.settled.then(() => process.send?.({ url: service.url }));
    },
  };
}

function phaseOf(request: string, verifying: boolean): Phase | null {
  if (/^POST .*\/files$/.test(request)) return 'register';
  if (/^PUT .*\/parts\/\d+$/.test(request)) return 'part';
  if (/^POST .*\/commit$/.test(request)) return verifying ? 'verify' : 'commit';
  if (/^POST .*\/finalize$/.test(request)) return 'finalize';
  return null;
}

import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import { readFileSync, writeSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { loadConfig } from '../../src/config.ts';
import { startService } from '../../src/server.ts';
import { recover } from '../../src/usecases/recover.ts';
import { watchRemoteEffects } from './remote-effects.ts';

/**
 * The real service on PostgreSQL and S3, as a process of its own. A request with the header `x-test-stop: SIGSTOP 7` (or
 * SIGKILL) freezes (or kills) it at the seventh effect of that request (remote-effects.ts). With fewer effects, before the
 * answer.
 */
export interface ReplicaServerOptions {
  env: Record<string, string>;
  /** Holds the milliseconds to add to the registry's time: the same for all replicas. */
  timeFile: string;
  /** How far this machine's clock is off, ms. */
  clockOff: number;
}

/** Small parts and packs, so that a small push has many requests. */
const LIMITS = { single_part_max: 5 * 1024 ** 2, part_size: 5 * 1024 ** 2, pack_members_max: 20 };

interface Stop {
  signal: NodeJS.Signals;
  left: number;
}

const options = JSON.parse(process.argv[2] as string) as ReplicaServerOptions;
const current = new AsyncLocalStorage<Stop>();

function effect(stop: Stop): void {
  stop.left -= 1;
  if (stop.left === 0) die(stop);
}

function die(stop: Stop): void {
  stop.left = 0;
  if (stop.signal === 'SIGSTOP') writeSync(1, 'frozen\n');
  process.kill(process.pid, stop.signal);
}

subscribe('http.server.request.start', (message) => {
  const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
  const [signal, left] = String(request.headers['x-test-stop'] ?? '').split(' ');
  if (!signal) return;
  const stop = { signal: signal as NodeJS.Signals, left: Number(left) };
  current.enterWith(stop);
  const { writeHead } = response;
  response.writeHead = function answer(this: ServerResponse, ...args: never[]) {
    if (stop.left > 0) die(stop);
    return writeHead.apply(this, args as never);
  } as typeof writeHead;
});

watchRemoteEffects(() => current.getStore(), effect);

const RealDate = Date;
if (options.clockOff !== 0) {
  const now = () => RealDate.now() + options.clockOff;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, self) => Reflect.construct(target, args.length === 0 ? [now()] : args, self),
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  });
}

const service = await startService(loadConfig(options.env), {
  limits: LIMITS,
  timeShift: () => Number(readFileSync(options.timeFile, 'utf8')),
});
await service.settled;
process.send?.({ url: service.url });
process.on('disconnect', () => process.exit());
/** Recovery as it runs every minute, after whatever this process is completing has ended. */
process.on('message', async () => {
  await Promise.allSettled(service.services.running.values());
  await recover(service.services);
  process.send?.('recovered');
});

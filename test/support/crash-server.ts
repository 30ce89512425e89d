import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { loadConfig } from '../../src/config.ts';
import { connectSqlite } from '../../src/registry/connect.ts';
import { startService } from '../../src/server.ts';
import { recordingFileLayer } from './recording-file-layer.ts';

/**
 * The real service, which kills or freezes itself before the n-th effect (a file operation, or a statement of the
 * registry, before or after it) of a phase. Phases are those of a push; an effect belongs to the request that causes it.
 */
export type Phase = 'register' | 'part' | 'commit' | 'verify' | 'finalize';

export interface CrashPlan {
  phase: Phase;
  nth: number;
  action: 'SIGKILL' | 'SIGSTOP';
}

export interface CrashServerOptions {
  dataDir: string;
  port: number;
  plan: CrashPlan | null;
  /** Every 200 of a commit or finalize is written here before it is sent. */
  acknowledged: string;
}

const options = JSON.parse(process.argv[2] as string) as CrashServerOptions;
const request = new AsyncLocalStorage<string>();
const counts: Record<string, number> = {};

subscribe('http.server.request.start', (message) => {
  const { request: incoming, response } = message as { request: IncomingMessage; response: ServerResponse };
  const url = `${incoming.method} ${incoming.url?.replace(/\?.*/, '')}`;
  request.enterWith(url);
  const { writeHead } = response;
  response.writeHead = function acknowledge(this: ServerResponse, ...args: never[]) {
    const status = (args[0] as unknown as number) ?? response.statusCode;
    if (status === 200 && /\/(commit|finalize)$/.test(url)) appendFileSync(options.acknowledged, `${url}\n`);
    return writeHead.apply(this, args as never);
  } as typeof writeHead;
});

/** `verify`: what a commit does to hash the object, which for the folder is putting it together out of its parts. */
function phaseOf(assembling: boolean): Phase | null {
  const url = request.getStore() ?? '';
  if (/^POST .*\/files$/.test(url)) return 'register';
  if (/^PUT .*\/parts\/\d+$/.test(url)) return 'part';
  if (/^POST .*\/commit$/.test(url)) return assembling ? 'verify' : 'commit';
  if (/^POST .*\/finalize$/.test(url)) return 'finalize';
  return null;
}

function effect(assembling = false): void {
  const phase = phaseOf(assembling);
  if (phase === null) return;
  counts[phase] = (counts[phase] ?? 0) + 1;
  const { plan } = options;
  if (plan?.phase !== phase || counts[phase] !== plan.nth) return;
  if (plan.action === 'SIGSTOP') appendFileSync(options.acknowledged, 'frozen\n');
  process.kill(process.pid, plan.action);
}

const ASSEMBLY = new Set(['create', 'write', 'chmod', 'sync']);
const { files } = recordingFileLayer(({ name }) => effect(ASSEMBLY.has(name)));

const service = await startService(
  loadConfig({
    ARTIFACT_STORE_PORT: String(options.port),
    ARTIFACT_STORE_DATA_DIR: options.dataDir,
    ARTIFACT_STORE_LOG_LEVEL: 'silent',
  }),
  {
    files,
    // Small parts and packs, so that a small push has every phase.
    limits: {
      single_part_max: 64 * 1024,
      part_size: 64 * 1024,
      min_part_size: 1024,
      pack_member_max: 8 * 1024,
      pack_target: 16 * 1024,
    },
    connect: (file) => {
      const db = connectSqlite(file);
      db.on('query', () => effect());
      db.on('query-response', () => effect());
      return db;
    },
  },
);
process.send?.({ url: service.url });
process.on('message', () => {
  process.send?.({ counts });
});

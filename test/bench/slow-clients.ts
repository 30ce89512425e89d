import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { apiOf, sha256 } from '../support/api.ts';
import { percentile } from './measure.ts';
import { machine } from './report.ts';
import { BIN, type ServiceProcess, startServiceProcess } from './service-process.ts';
import type { SlowSenders } from './slow-senders.ts';

/**
 * What slow clients cost the others: 2,000 connections to the built service, a process of its own, on SQLite and a folder. Half of them send
 * nothing, or headers, JSON or a file a byte at a time, or do not read what they asked for; the others each send a request every four seconds.
 * ARTIFACT_STORE_TEST_SECONDS: of each phase.
 */
const CONNECTIONS = 2_000;
const SECONDS = Number(process.env.ARTIFACT_STORE_TEST_SECONDS ?? 45);
const PAUSE_MS = 4_000;
/** Until all slow ones are there. */
const SETTLE_MS = 10_000;
const ROUNDS = 2;
/** Of twenty requests one registers a file. */
const WRITES = 20;

if (!existsSync(BIN)) throw new Error('dist/ is not built: npm run build');
const dir = await mkdtemp(join(process.env.ARTIFACT_STORE_TEST_BENCH_DIR ?? tmpdir(), 'artifact-store-bench-'));
const service = await startServiceProcess({ ARTIFACT_STORE_DATA_DIR: dir, ARTIFACT_STORE_LOG_LEVEL: 'silent' });
const api = apiOf(service.url);
try {
  const open = await api.create();
  const stored = await api.create();
  const large = randomBytes(16 * 1024 ** 2);
  await api.call('PUT', `/v1/packages/${stored}/files/large`, large);
  await api.post(`/v1/packages/${stored}/finalize`);
  const lines = [`| at rest, before | – | – | – | – | – | ${await memory()} | – |`];
  lines.push(await phase('the other half alone', open, null));
  for (let round = 1; round <= ROUNDS; round += 1) {
    const slow = { url: service.url, connections: CONNECTIONS / 2, open, stored };
    lines.push(await phase(`both halves, round ${round}`, open, slow));
    // Memory that was let go is collected when there is something to do.
    lines.push(await phase(`the other half alone, after round ${round}`, open, null));
  }
  const text = [
    `Measured ${new Date().toISOString().slice(0, 10)} on ${machine()}; ${SECONDS} s a phase.`,
    '',
    '| phase | requests | failed | half of them within | 99 % within | service: CPU | memory (most) | slow clients cut off |',
    '|---|---|---|---|---|---|---|---|',
    ...lines,
  ].join('\n');
  console.log(text);
} finally {
  await service.stop();
  await rm(dir, { recursive: true, force: true });
}

async function phase(what: string, open: string, slow: SlowSenders | null): Promise<string> {
  await service.forget();
  const worker = slow && new Worker(new URL('./slow-senders.ts', import.meta.url), { workerData: slow });
  if (worker !== null) await sleep(SETTLE_MS);
  const cpuBefore = service.cpu();
  const { times, failed } = await others(service, open, CONNECTIONS / 2);
  const cpu = service.cpu() - cpuBefore;
  let cutOff = '–';
  if (worker !== null) {
    worker.postMessage('stop');
    const [told] = (await once(worker, 'message')) as [{ cutOff: number }];
    cutOff = String(told.cutOff);
    await worker.terminate();
  }
  const [half, most] = [0.5, 0.99].map((share) => `${Math.round(percentile(times, share) * 1_000)} ms`);
  const row = `| ${what} | ${times.length} | ${failed} | ${half} | ${most} | ${cpu.toFixed(1)} s | ${await memory()} | ${cutOff} |`;
  console.error(row);
  return row;
}

/** @returns the seconds of each request, and how many had no answer, or none that is good */
async function others(
  { url }: ServiceProcess,
  open: string,
  connections: number,
): Promise<{ times: number[]; failed: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const end = Date.now() + SECONDS * 1_000;
  const times: number[] = [];
  const failures = new Map<string, number>();
  await Promise.all(
    Array.from({ length: connections }, async (_, nth) => {
      await sleep(Math.random() * PAUSE_MS);
      for (let turn = nth; Date.now() < end; turn += 1) {
        const began = performance.now();
        const asked =
          turn % WRITES === 0
            ? send(agent, 'POST', `${url}/v1/packages/${open}/files`, fileList(`${nth}/${turn}`))
            : send(agent, 'GET', `${url}/v1/packages/${open}`);
        const ended = await asked.then(String, (error: NodeJS.ErrnoException) => error.code ?? error.message);
        if (ended === '200') times.push((performance.now() - began) / 1_000);
        else failures.set(ended, (failures.get(ended) ?? 0) + 1);
        await sleep(PAUSE_MS * (0.5 + Math.random()));
      }
    }),
  );
  agent.destroy();
  if (failures.size > 0) console.error(failures);
  return { times, failed: [...failures.values()].reduce((sum, count) => sum + count, 0) };
}

function fileList(path: string): string {
  return JSON.stringify({ files: [{ path, digest: sha256(path), size: path.length }] });
}

function send(agent: Agent, method: string, url: string, body = ''): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers =
      body === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const asked = request(url, { method, agent, headers }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode ?? 0));
    });
    asked.once('error', reject).end(body);
  });
}

/** Resident now, and the most since the last phase began. */
async function memory(): Promise<string> {
  const text = await (await fetch(`${service.url}/metrics`)).text();
  const resident = Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1]) / 1024 ** 2;
  return `${Math.round(resident)} MiB (${Math.round(service.peakMemory())})`;
}

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCeph } from '../support/ceph.ts';
import { startPostgres } from '../support/postgres.ts';
import { DATA_SETS, makeSource, type Source } from './data.ts';
import type { Field } from './field.ts';
import { assertMeasurable, type Measured, measure, run } from './measure.ts';
import { type Found, writeReport } from './report.ts';
import { BIN } from './service-process.ts';
import { type Area, cephStore, folderStore, type Store } from './stores.ts';
import { type Job, OURS, ourselves, PEERS, type Session, type Tool } from './tools.ts';

/**
 * `npm run bench`: every job, for us and for every peer that is on this machine, in turns, on a real Ceph and on a folder.
 * Writes docs/performance.md between its marks, and docs/performance.svg. ARTIFACT_STORE_TEST_SETS and
 * ARTIFACT_STORE_TEST_TOOLS name some of the data sets and tools; then nothing is written. ARTIFACT_STORE_TEST_SECONDS gives it
 * more time than ten minutes: on a slow machine the peers' every job needs half an hour.
 */
process.env.CEPH_BYTES ??= String(10 * 1024 ** 3);
assertMeasurable();
if (!existsSync(BIN)) throw new Error('dist/ is not built: npm run build');
const DROPPED_ABOVE = 1024 ** 3;
/** Tools that join in the second round make it longer than the first. */
const NEWCOMERS = 2;
/** No round begins that would not end within so many seconds. */
const BUDGET_S = Number(process.env.ARTIFACT_STORE_TEST_SECONDS ?? 460);
const { ARTIFACT_STORE_TEST_SETS: onlySets, ARTIFACT_STORE_TEST_TOOLS: onlyTools } = process.env;
const started = performance.now();
const dir = await mkdtemp(join(process.env.ARTIFACT_STORE_TEST_BENCH_DIR ?? tmpdir(), 'artifact-store-bench-'));
const [ceph, postgres] = await Promise.all([startCeph(), startPostgres()]);
try {
  const stores = [cephStore(ceph, dir), folderStore(dir)];
  const tools = await present([
    ourselves('artifact-store', OURS, null),
    ourselves('artifact-store on PostgreSQL', { small: OURS.small }, () => postgres.createDatabase('C')),
    ...PEERS,
  ]);
  const matches: Match[] = [];
  for (const set of DATA_SETS) {
    if (onlySets && !onlySets.split(',').includes(set.name)) continue;
    const source = makeSource(set, join(dir, set.name));
    for (const store of stores) matches.push(matchOf(source, store, tools));
  }
  // Everything once; then again, and what is too slow for the first round, as far as there is time for it.
  for (const match of matches) match.seconds = await play(match, 0);
  for (let round = 1; round < Math.max(...matches.map(({ rounds }) => rounds)); round += 1) {
    for (const match of matches) {
      const later = elapsed() + match.seconds * (round === 1 ? NEWCOMERS : 1);
      if (round < match.rounds && later < BUDGET_S) await play(match, round);
    }
  }
  const fields = matches.map(({ field }) => field);
  const minutes = elapsed() / 60;
  await writeReport({ fields, tools, minutes, keep: !onlySets && !onlyTools });
} finally {
  await Promise.all([ceph.stop(), postgres.close()]);
  // Half a million files: nobody needs to wait for it.
  spawn('rm', ['-rf', dir], { detached: true, stdio: 'ignore' }).unref();
}

async function present(tools: readonly Tool[]): Promise<Found[]> {
  const found: Found[] = [];
  for (const tool of tools) {
    if (onlyTools && !onlyTools.split(',').includes(tool.name)) continue;
    try {
      found.push({ ...tool, found: await tool.version() });
    } catch (error) {
      console.log(`${tool.name} is not measured: ${(error as Error).message}`);
    }
  }
  return found;
}

function elapsed(): number {
  return (performance.now() - started) / 1_000;
}

/** One data set on one store, and who takes part. */
interface Match {
  source: Source;
  tools: readonly Found[];
  rounds: number;
  field: Field;
  /** What the first round took, which has the most to do. */
  seconds: number;
}

function matchOf(source: Source, store: Store, tools: readonly Found[]): Match {
  const { set, bytes } = source;
  const here = tools.filter(({ stores, rounds }) => stores.includes(store.kind) && rounds[set.name] !== undefined);
  const rounds = Math.max(...here.map((tool) => tool.rounds[set.name]?.length ?? 0));
  return { source, tools: here, rounds, field: { set, bytes, store, measurements: [] }, seconds: 0 };
}

/** A round: every tool, another one first each time. @returns the seconds that it took */
async function play({ source, tools, field }: Match, round: number): Promise<number> {
  const began = elapsed();
  const from = round % tools.length;
  for (const tool of [...tools.slice(from), ...tools.slice(0, from)]) {
    const jobs = tool.rounds[source.set.name]?.[round];
    if (jobs?.length) await runJobs(field, { tool, jobs, source });
  }
  return elapsed() - began;
}

interface Turn {
  tool: Tool;
  jobs: readonly Job[];
  source: Source;
}

async function runJobs(field: Field, { tool, jobs, source }: Turn): Promise<void> {
  const { set, store } = field;
  const pulledBefore = field.measurements.some((one) => one.tool === tool.name && one.job === 'pull');
  const area: Area = await store.open();
  const session: Session = await tool.open(area);
  const pulled = join(area.dir, 'pulled');
  try {
    for (const job of jobs) {
      if (job === 'changed') source.change();
      const act = job === 'pull' ? session.pull : session.push;
      if (act === null) continue;
      await settle();
      const measurement = await watched(session, store, () => act(job === 'pull' ? pulled : source.dir));
      field.measurements.push({ tool: tool.name, job, ...measurement });
      const { seconds, memory, service } = measurement;
      const beside = service
        ? `, service ${Math.round(service.memory)} MiB, ${service.cpu.toFixed(1)} s CPU, event loop ${Math.round(service.delay * 1_000)} ms`
        : '';
      console.log(
        `${set.name} ${store.kind} ${tool.name} ${job}: ${seconds.toFixed(2)} s, ${Math.round(memory)} MiB${beside}`,
      );
    }
    if (!pulledBefore && jobs.includes('pull')) await measure('diff', ['-r', source.dir, pulled]);
  } finally {
    await session.close();
    // Objects are removed one by one, which takes longer than to send them: only what fills the store goes.
    if (source.bytes > DROPPED_ABOVE) await area.drop();
    // ext4 gives no inode out again soon, and looks at each one that was freed: whoever made files next would pay for it.
    if (set.files < 1_000) await run('rm', ['-rf', area.dir]);
  }
}

/** What was written before is not written back at the cost of what comes next. */
async function settle(): Promise<void> {
  await measure('sync', ['-f', dir]);
}

async function watched(session: Session, store: Store, act: () => Promise<Measured>) {
  const { service } = session;
  await service?.forget();
  const [before, cpu] = [await store.traffic(), service?.cpu() ?? 0];
  const { seconds, cpu: clientCpu, memory } = await act();
  const after = await store.traffic();
  return {
    seconds,
    cpu: clientCpu,
    memory,
    traffic: before && after && { requests: after.requests - before.requests, bytes: after.bytes - before.bytes },
    service: service && {
      cpu: service.cpu() - cpu,
      memory: service.peakMemory(),
      delay: await service.eventLoopDelay(),
    },
  };
}

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Answer, type Api, apiOf, sha256 } from '../support/api.ts';
import { startCeph } from '../support/ceph.ts';
import { getLarge, type LargeBody, largeBody, putLarge } from '../support/large-body.ts';
import { startPostgres } from '../support/postgres.ts';
import { percentile } from './measure.ts';
import { machine, replaceMarked } from './report.ts';
import { BIN, type ServiceProcess, startServiceProcess } from './service-process.ts';
import { cephStore } from './stores.ts';
import { s3Variables } from './tools.ts';

/**
 * `npm run bench:service`: what one request costs, on SQLite with a folder and on PostgreSQL with Ceph, in the built
 * service as a process of its own. Writes docs/performance.md between its marks.
 */
const MIB = 1024 ** 2;
const PACKAGES = 200;

if (!existsSync(BIN)) throw new Error('dist/ is not built: npm run build');
const dir = await mkdtemp(join(process.env.ARTIFACT_STORE_TEST_BENCH_DIR ?? tmpdir(), 'artifact-store-bench-'));
process.env.CEPH_BYTES ??= String(12 * 1024 ** 3);
const [ceph, postgres] = await Promise.all([startCeph(), startPostgres()]);
const lines: string[] = [];
try {
  await onPair('SQLite, folder', {});
  const area = await cephStore(ceph, dir).open();
  const database = await postgres.createDatabase('C');
  await onPair('PostgreSQL, Ceph', { ARTIFACT_STORE_DATABASE_URL: database, ...s3Variables(area) });
  const text = [
    `Measured ${new Date().toISOString().slice(0, 10)} on ${machine()}, everything on one machine.`,
    '',
    '| pair | what | half of them within | 95 % within | |',
    '|---|---|---|---|---|',
    ...lines,
  ].join('\n');
  console.log(text);
  await replaceMarked('service', text);
} finally {
  await Promise.all([ceph.stop(), postgres.close()]);
  await rm(dir, { recursive: true, force: true });
}

async function onPair(pair: string, env: Record<string, string>): Promise<void> {
  const tell = (what: string, seconds: readonly number[], note = ''): void => {
    const [half, most] = [0.5, 0.95].map((share) => shown(percentile(seconds, share)));
    lines.push(`| ${pair} | ${what} | ${half} | ${seconds.length > 1 ? most : ''} | ${note} |`);
    console.log(lines.at(-1));
  };
  const onFresh = async (jobs: (api: Api, service: ServiceProcess) => Promise<void>): Promise<void> => {
    const service = await startServiceProcess({ ARTIFACT_STORE_DATA_DIR: join(dir, pair), ...env });
    try {
      await jobs(apiOf(service.url), service);
    } finally {
      await service.stop();
    }
  };
  await onFresh(async (api, service) => {
    await smallPackages(api, tell);
    await manyPlans(api, service, tell);
    await manyFiles(api, service, tell);
  });
  await onFresh((api, service) => throughTheService(api, service, tell));
}

type Tell = (what: string, seconds: readonly number[], note?: string) => void;

/** One after the other, each of three files of its own. */
async function smallPackages(api: Api, tell: Tell): Promise<void> {
  const times = { create: [], register: [], plan: [], commit: [], finalize: [] } as Record<string, number[]>;
  for (let index = 0; index < PACKAGES; index += 1) {
    const id = await timed(times.create, () => api.create());
    const bytes = [0, 1, 2].map((n) => Buffer.from(`bytes ${n} of package ${index}`));
    const objects = bytes.map((one) => ({ digest: sha256(one), size: one.length }));
    const files = objects.map((object, n) => ({ path: `file ${n}`, ...object }));
    must(await timed(times.register, () => api.post(`/v1/packages/${id}/files`, { files })));
    const planned = must(await timed(times.plan, () => api.post(`/v1/packages/${id}/uploads`, { objects })));
    for (const { upload_id, digest, parts } of planned.body.uploads) {
      must(await api.send(parts[0], bytes[objects.findIndex((object) => object.digest === digest)] as Buffer));
      must(await timed(times.commit, () => api.post(`/v1/uploads/${upload_id}/commit`)));
    }
    must(await timed(times.finalize, () => api.post(`/v1/packages/${id}/finalize`)));
  }
  for (const [what, seconds] of Object.entries(times)) tell(what, seconds, `${PACKAGES} packages of 3 files`);
}

/** 10,000 uploads, in calls of 1,000. */
async function manyPlans(api: Api, service: ServiceProcess, tell: Tell): Promise<void> {
  const id = await api.create();
  const calls: number[] = [];
  await service.forget();
  for (let call = 0; call < 10; call += 1) {
    const objects = Array.from({ length: 1_000 }, (_, n) => ({
      digest: sha256(`planned ${call} ${n}`),
      size: 2 * MIB,
    }));
    const files = objects.map((object, n) => ({ path: `${call}/${n}`, ...object }));
    must(await api.post(`/v1/packages/${id}/files`, { files }));
    must(await timed(calls, () => api.post(`/v1/packages/${id}/uploads`, { objects })));
  }
  const delay = Math.round((await service.eventLoopDelay()) * 1_000);
  tell('plan 1,000 uploads', calls, `10 calls; event loop at most ${delay} ms late at the 99th percentile`);
}

/** A package of 100,000 files: registered, listed page by page, finalized. */
async function manyFiles(api: Api, service: ServiceProcess, tell: Tell): Promise<void> {
  const id = await api.create();
  await api.store(id, { 'the-bytes': 'shared by all' });
  const digest = sha256('shared by all');
  const calls: number[] = [];
  await service.forget();
  for (let batch = 0; batch < 100; batch += 1) {
    const files = Array.from({ length: 1_000 }, (_, n) => ({ path: `group-${batch}/file-${n}.log`, digest, size: 13 }));
    must(await timed(calls, () => api.post(`/v1/packages/${id}/files`, { files })));
  }
  tell('register 1,000 files', calls, '100 calls, into one package');
  const pages: number[] = [];
  for (let cursor = ''; ; ) {
    const { body } = must(await timed(pages, () => api.get(`/v1/packages/${id}/files?limit=1000${cursor}`)));
    if (body.next_cursor === null) break;
    cursor = `&cursor=${body.next_cursor}`;
  }
  tell('list 1,000 of 100,000 files', pages.slice(0, 10), 'the first 10 pages');
  tell('list 1,000 of 100,000 files', pages.slice(-11, -1), 'the last 10 pages');
  const finalize: number[] = [];
  must(await timed(finalize, () => api.post(`/v1/packages/${id}/finalize`)));
  tell('finalize 100,000 files', finalize, memoryOf(service));
}

/** Files of 4 GiB in and out through the service itself, by a process that has done nothing before. */
async function throughTheService(api: Api, service: ServiceProcess, tell: Tell): Promise<void> {
  const id = await api.create();
  const path = (name: string): string => `${service.url}/v1/packages/${id}/files/${name}`;
  for (const [what, which, query] of [
    ['without a digest', 1, () => ''],
    ['with its digest', 2, ({ digest }: LargeBody) => `?digest=${digest}`],
  ] as const) {
    const body = largeBody(4096 * MIB, which);
    await service.forget();
    const seconds: number[] = [];
    const { status, answer } = await timed(seconds, () => putLarge(path(String(which)), body, query(body)));
    if (status !== 201) throw new Error(`PUT answered ${status}: ${answer}`);
    tell(`PUT 4 GiB through the service, ${what}`, seconds, memoryOf(service));
  }
  await service.forget();
  const seconds: number[] = [];
  const digest = await timed(seconds, () => getLarge(`${path('1')}?redirect=false`));
  if (digest !== largeBody(4096 * MIB, 1).digest) throw new Error(`GET gave ${digest}`);
  tell('GET 4 GiB through the service', seconds, memoryOf(service));
}

async function timed<T>(times: number[] | undefined, act: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await act();
  times?.push((performance.now() - started) / 1_000);
  return result;
}

function must(answer: Answer): Answer {
  if (answer.status >= 300) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
  return answer;
}

function memoryOf(service: ServiceProcess): string {
  return `service: ${Math.round(service.peakMemory())} MiB`;
}

function shown(seconds: number): string {
  return seconds < 1 ? `${(seconds * 1_000).toFixed(1)} ms` : `${seconds.toFixed(2)} s`;
}

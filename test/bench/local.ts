import { createReadStream, existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { apiOf, sha256 } from '../support/api.ts';
import { makeLargeFiles, makeSmallFiles } from './data.ts';
import { type RunningService, run, startService } from './processes.ts';

/**
 * What issue and README promise of the local store, measured on the built service and command line, each as a process of
 * its own: `npm run bench`. Writes docs/performance.md between its marks. ARTIFACT_STORE_TEST_ROUNDS sets the rounds.
 */
const ROUNDS = Number(process.env.ARTIFACT_STORE_TEST_ROUNDS ?? 3);
const BIN = new URL('../../dist/cli/bin.js', import.meta.url).pathname;
const PAGE = new URL('../../docs/performance.md', import.meta.url).pathname;
const MIB = 1024 ** 2;

interface Row {
  job: string;
  seconds: number[];
  note: string;
}

const rows: Row[] = [];
const facts: Array<[string, string]> = [];

if (!existsSync(BIN)) throw new Error('dist/ is not built: npm run build');
const dir = await mkdtemp(join(process.env.ARTIFACT_STORE_TEST_BENCH_DIR ?? tmpdir(), 'artifact-store-bench-'));
try {
  await startTime();
  const small = join(dir, 'small');
  const smallBytes = makeSmallFiles(small, 10_000);
  await pushBesideCopy('10,000 files of 1–15 KiB', small, 10_000, smallBytes);
  await rm(small, { recursive: true });
  const large = join(dir, 'large');
  const largeBytes = makeLargeFiles(large, 8, 256 * MIB);
  await pushBesideCopy('8 files of 256 MiB', large, 8, largeBytes);
  await rm(large, { recursive: true });
  await throughTheService();
  await manyFiles();
  await report();
} finally {
  await rm(dir, { recursive: true, force: true });
}

async function startTime(): Promise<void> {
  const seconds: number[] = [];
  for (let round = 0; round < 10; round++) seconds.push((await run(process.execPath, [BIN, '--help'])).seconds);
  rows.push({ job: '`artifact-store --help`', seconds, note: 'whole process' });
}

/** Hash and push into an empty store, beside `cp -r` and `sync -f` of the same files, in turns. */
async function pushBesideCopy(name: string, source: string, count: number, bytes: number): Promise<void> {
  const push: Row = { job: `push ${name}`, seconds: [], note: '' };
  const again: Row = {
    job: `push ${name} again, unchanged (new package)`,
    seconds: [],
    note: 'reads and hashes everything, sends nothing',
  };
  const pull: Row = { job: `pull ${name}`, seconds: [], note: 'every byte verified' };
  const copy: Row = { job: `cp -r and sync -f of ${name}`, seconds: [], note: 'nothing hashed' };
  let memory = 0;
  let cpu = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const data = join(dir, 'data');
    const service = await startService(BIN, data);
    push.seconds.push(await cli(service, ['push', source, '--producer', 'bench', '--name', 'one']));
    memory = Math.max(memory, service.peakMemory());
    cpu = service.cpu();
    again.seconds.push(await cli(service, ['push', source, '--producer', 'bench', '--name', 'two']));
    const [newest] = (await apiOf(service.url).get('/v1/packages?limit=1')).body.items;
    pull.seconds.push(await cli(service, ['pull', newest.id, join(dir, 'pulled')]));
    await service.stop();
    await rm(data, { recursive: true });
    await rm(join(dir, 'pulled'), { recursive: true });
    const started = performance.now();
    await must('cp', ['-r', source, join(dir, 'copy')]);
    await must('sync', ['-f', join(dir, 'copy')]);
    copy.seconds.push((performance.now() - started) / 1_000);
    await rm(join(dir, 'copy'), { recursive: true });
  }
  push.note = `${count} files, ${Math.round(bytes / MIB)} MiB; service: ${Math.round(memory)} MiB peak, ${cpu.toFixed(1)} s CPU`;
  rows.push(push, copy, again, pull);
  facts.push([`push ${name} ÷ cp -r + sync -f`, (median(push.seconds) / median(copy.seconds)).toFixed(2)]);
}

/** A 4 GiB file in and out through the service itself. */
async function throughTheService(): Promise<void> {
  const source = join(dir, 'four');
  makeLargeFiles(source, 1, 4096 * MIB);
  const service = await startService(BIN, join(dir, 'data'));
  const api = apiOf(service.url);
  const id = await api.create();
  const file = join(source, 'large-0.bin');
  const { size } = await stat(file);
  const url = `${service.url}/v1/packages/${id}/files/four.bin`;
  const before = service.peakMemory();
  let started = performance.now();
  const status = await new Promise<number>((resolve, reject) => {
    const sending = request(url, { method: 'PUT', headers: { 'content-length': size } }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode ?? 0));
    });
    sending.once('error', reject);
    createReadStream(file, { highWaterMark: MIB }).pipe(sending);
  });
  if (status !== 201) throw new Error(`PUT answered ${status}`);
  const put = (performance.now() - started) / 1_000;
  const afterPut = service.peakMemory();
  started = performance.now();
  const got = await new Promise<number>((resolve, reject) => {
    request(url, (answer) => {
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      answer.once('end', () => resolve(bytes));
    })
      .once('error', reject)
      .end();
  });
  if (got !== size) throw new Error(`GET gave ${got} of ${size} bytes`);
  rows.push({
    job: 'PUT one file of 4 GiB through the service',
    seconds: [put],
    note: `service: ${Math.round(before)} → ${Math.round(afterPut)} MiB peak`,
  });
  rows.push({
    job: 'GET it',
    seconds: [(performance.now() - started) / 1_000],
    note: `service: ${Math.round(service.peakMemory())} MiB peak`,
  });
  await service.stop();
  await rm(join(dir, 'data'), { recursive: true });
  await rm(source, { recursive: true });
}

/** A package of 100,000 files: registered, listed page by page, finalized. */
async function manyFiles(): Promise<void> {
  const service = await startService(BIN, join(dir, 'data'));
  const api = apiOf(service.url);
  const id = await api.create();
  await api.store(id, { 'the-bytes': 'shared by all' });
  const digest = sha256('shared by all');
  let started = performance.now();
  for (let batch = 0; batch < 100; batch++) {
    const files = Array.from({ length: 1_000 }, (_, n) => ({ path: `group-${batch}/file-${n}.log`, digest, size: 13 }));
    const answer = await api.post(`/v1/packages/${id}/files`, { files });
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  }
  rows.push({
    job: 'register 100,000 files',
    seconds: [(performance.now() - started) / 1_000],
    note: '100 calls of 1,000',
  });
  const pages: number[] = [];
  for (let cursor = ''; ; ) {
    started = performance.now();
    const { body } = await api.get(`/v1/packages/${id}/files?limit=1000${cursor}`);
    pages.push((performance.now() - started) / 1_000);
    if (body.next_cursor === null) break;
    cursor = `&cursor=${body.next_cursor}`;
  }
  rows.push({ job: 'list them: the first 10 pages of 1,000', seconds: pages.slice(0, 10), note: 'per page' });
  rows.push({ job: 'list them: the last 10 pages of 1,000', seconds: pages.slice(-11, -1), note: 'per page' });
  started = performance.now();
  const finalized = await api.post(`/v1/packages/${id}/finalize`);
  if (finalized.status !== 200) throw new Error(JSON.stringify(finalized.body));
  rows.push({
    job: 'finalize them',
    seconds: [(performance.now() - started) / 1_000],
    note: `service: ${Math.round(service.peakMemory())} MiB peak`,
  });
  await service.stop();
}

async function cli(service: RunningService, args: string[]): Promise<number> {
  const { code, seconds, out, err } = await run(process.execPath, [BIN, ...args, '--json', '--url', service.url], {
    XDG_CACHE_HOME: join(dir, 'cache'),
  });
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${out}${err}`);
  return seconds;
}

async function must(command: string, args: string[]): Promise<void> {
  const { code, err } = await run(command, args);
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${err}`);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

async function report(): Promise<void> {
  const cell = (seconds: number): string =>
    seconds < 0.1 ? `${(seconds * 1_000).toFixed(1)} ms` : `${seconds.toFixed(2)} s`;
  const table = rows.map(({ job, seconds, note }) => {
    const [low, high] = [Math.min(...seconds), Math.max(...seconds)];
    return `| ${job} | ${cell(median(seconds))} | ${seconds.length > 1 ? `${cell(low)} – ${cell(high)}` : ''} | ${note} |`;
  });
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, ${Math.round(totalmem() / 1024 ** 3)} GiB, Linux ${release()}, Node ${process.version}`;
  const text = [
    `Measured ${new Date().toISOString().slice(0, 10)} on ${machine}; client, service and store on one machine; ${ROUNDS} rounds.`,
    '',
    '| job | median | range | |',
    '|---|---|---|---|',
    ...table,
    '',
    ...facts.map(([name, value]) => `- ${name}: ${value}`),
  ].join('\n');
  console.log(text);
  const page = await readFile(PAGE, 'utf8');
  await writeFile(PAGE, page.replace(/(<!-- bench:local -->\n)[\s\S]*?(\n<!-- \/bench:local -->)/, `$1${text}$2`));
}

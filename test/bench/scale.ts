import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import pg from 'pg';
import { type Answer, apiOf, sha256 } from '../support/api.ts';
import { startPostgres } from '../support/postgres.ts';
import { numbered } from './data.ts';
import { measure, median } from './measure.ts';
import { machine, replaceMarked } from './report.ts';
import { BIN, startServiceProcess } from './service-process.ts';

/**
 * `npm run bench:scale`: what grows with the number of files. Pushes of 1,000 to 100,000 files, and single requests to a
 * registry that holds 100 thousand to 10 million file rows, on both dialects. Writes docs/performance.md between its marks.
 * ARTIFACT_STORE_TEST_ROWS sets how many rows there are in the end.
 */
const MOST_ROWS = Number(process.env.ARTIFACT_STORE_TEST_ROWS ?? 10_000_000);
const LEVELS = [100_000, 1_000_000, 10_000_000].filter((rows) => rows <= MOST_ROWS);
const FILES_A_PACKAGE = 1_000;
/** So many files share a blob, each in another package. */
const SHARED_BY = 10;
const REPEATS = 21;
/** Requests that do not count: a service that has just started reads from the disk what one that runs has in memory. */
const WARM_UPS = 9;
/** A UUIDv7 of the year 1970, with its number where chance would be. */
const ID = { start: 'pkg_00000000000070008', digits: 15 };
const PACKAGE_COLUMNS =
  'name, producer, status, metadata, retention_class, retention_days, expires_at, active_holds, file_count, total_size, manifest_digest, manifest_size, created_by, created_at, sealed_at, sealed_by, finalized_at';
/** Dropped while rows are put in, and made anew after: PostgreSQL leaves room in their pages. */
const INDEXES = ['package_files_blob'];

if (!existsSync(BIN)) throw new Error('dist/ is not built: npm run build');
const dir = await mkdtemp(join(process.env.ARTIFACT_STORE_TEST_BENCH_DIR ?? tmpdir(), 'artifact-store-scale-'));
const postgres = await startPostgres();
try {
  const text = [
    `Measured ${new Date().toISOString().slice(0, 10)} on ${machine()}; local folder; median of ${REPEATS} requests after ${WARM_UPS}.`,
    '',
    ...(await growthOfPush()),
    '',
    ...(await growthOfRegistry('SQLite', join(dir, 'sqlite'), {}, sqliteFiller)),
    '',
    ...(await growthOfPostgres()),
  ].join('\n');
  console.log(text);
  await replaceMarked('scale', text);
} finally {
  await postgres.close();
  await rm(dir, { recursive: true, force: true });
}

async function growthOfPush(): Promise<string[]> {
  const lines = ['| files of 200 bytes | push | per file | service |', '|---|---|---|---|'];
  for (const files of [1_000, 10_000, 100_000]) {
    const source = join(dir, `tree-${files}`);
    numbered(`growth ${files}`, '', files, (bytes) => bytes(200)).make(source);
    const seconds: number[] = [];
    let memory = 0;
    for (let round = 0; round < 3; round += 1) {
      const own = join(dir, `push-${files}-${round}`);
      const service = await startServiceProcess({ ARTIFACT_STORE_DATA_DIR: join(own, 'data') });
      const env = { XDG_CACHE_HOME: join(own, 'cache'), ARTIFACT_STORE_URL: service.url };
      seconds.push(
        (await measure(process.execPath, [BIN, 'push', source, '--producer', 'bench', '--json'], { env })).seconds,
      );
      memory = Math.max(memory, service.peakMemory());
      await service.stop();
    }
    const middle = median(seconds);
    const each = ((middle / files) * 1e6).toFixed(0);
    lines.push(`| ${files.toLocaleString('en')} | ${middle.toFixed(2)} s | ${each} µs | ${Math.round(memory)} MiB |`);
    console.log(lines.at(-1));
  }
  return lines;
}

async function growthOfPostgres(): Promise<string[]> {
  const url = await postgres.createDatabase('C');
  return growthOfRegistry('PostgreSQL', join(dir, 'postgres'), { ARTIFACT_STORE_DATABASE_URL: url }, () =>
    postgresFiller(url),
  );
}

/** Puts packages into a registry that no service has open; numbers from `from` up to `to`. */
type Filler = (template: string, from: number, to: number) => Promise<void>;

async function growthOfRegistry(
  dialect: string,
  dataDir: string,
  registry: Record<string, string>,
  fillerOf: (dataDir: string) => Filler,
): Promise<string[]> {
  const env = { ARTIFACT_STORE_DATA_DIR: dataDir, ...registry };
  const first = await startServiceProcess(env);
  const template = await apiOf(first.url).preserve({ 'a file': 'of the template' }, { producer: 'filler' });
  await first.stop();
  const fill = fillerOf(dataDir);
  const columns: Array<Record<string, number>> = [];
  let packages = 0;
  for (const [level, rows] of LEVELS.entries()) {
    const started = performance.now();
    await fill(template, packages, rows / FILES_A_PACKAGE);
    packages = rows / FILES_A_PACKAGE;
    // What was filled in is not written back at the cost of what is measured.
    await measure('sync', ['-f', dir]);
    console.log(`${dialect}: ${rows} rows after ${Math.round((performance.now() - started) / 1_000)} s`);
    const service = await startServiceProcess(env);
    columns.push(await requests(service.url, packages, level));
    console.log(columns.at(-1));
    await service.stop();
  }
  const names = Object.keys(columns[0] ?? {});
  const shown = (seconds: number | undefined): string => `${((seconds ?? Number.NaN) * 1_000).toFixed(1)} ms`;
  return [
    `| ${dialect}: rows of files | ${LEVELS.map((rows) => rows.toLocaleString('en')).join(' | ')} | last ÷ first |`,
    `|---|${LEVELS.map(() => '---|').join('')}---|`,
    ...names.map((name) => {
      const ratio = (columns.at(-1)?.[name] ?? Number.NaN) / (columns[0]?.[name] ?? Number.NaN);
      return `| ${name} | ${columns.map((column) => shown(column[name])).join(' | ')} | ${ratio.toFixed(2)} |`;
    }),
  ];
}

/** The median seconds of each kind of request, after those that do not count. */
async function requests(url: string, packages: number, level: number): Promise<Record<string, number>> {
  const api = apiOf(url);
  const seconds: Record<string, number[]> = {};
  const timed = async (what: string, act: () => Promise<Answer>): Promise<Answer> => {
    const started = performance.now();
    const answer = await act();
    if (answer.status >= 300) throw new Error(`${what}: ${answer.status} ${JSON.stringify(answer.body)}`);
    const took = (performance.now() - started) / 1_000;
    seconds[what] = [...(seconds[what] ?? []), took];
    return answer;
  };
  for (let turn = 0; turn < REPEATS + WARM_UPS; turn += 1) {
    const some = Math.floor((packages / (REPEATS + WARM_UPS)) * turn);
    const id = await api.create({ name: `level ${level}, ${turn}`, producer: 'bench' });
    const known = Array.from({ length: FILES_A_PACKAGE }, (_, n) => ({
      path: `known/file-${n}.log`,
      digest: `sha256:${digestOf(some * FILES_A_PACKAGE + n).toString('hex')}`,
      size: 200,
    }));
    const fresh = Array.from({ length: 100 }, (_, n) => {
      const bytes = `fresh ${level} ${turn} ${n}`;
      return { path: `fresh/${n}`, digest: sha256(bytes), size: bytes.length };
    });
    await timed('register 1,000 files that the store has', () =>
      api.post(`/v1/packages/${id}/files`, { files: known }),
    );
    await timed('finalize 1,000 files', () => api.post(`/v1/packages/${id}/finalize`));
    const other = await api.create({ name: `level ${level}, ${turn}, fresh`, producer: 'bench' });
    await timed('register 100 new files', () => api.post(`/v1/packages/${other}/files`, { files: fresh }));
    const objects = fresh.map(({ digest, size }) => ({ digest, size }));
    await timed('plan 100 uploads', () => api.post(`/v1/packages/${other}/uploads`, { objects }));
    await timed('list 100 packages', () => api.get('/v1/packages?limit=100'));
    await timed('list 1,000 files', () => api.get(`/v1/packages/${idOf(some)}/files?limit=1000`));
    await timed('show a package', () => api.get(`/v1/packages/${idOf(some)}`));
  }
  return Object.fromEntries(Object.entries(seconds).map(([what, all]) => [what, median(all.slice(WARM_UPS))]));
}

function idOf(index: number): string {
  return ID.start + index.toString(16).padStart(ID.digits, '0');
}

/** Of file `n` of all. Neighbours' digests are far apart, as real ones are. */
function digestOf(n: number): Buffer {
  return hash('sha256', `row ${Math.floor(n / (FILES_A_PACKAGE * SHARED_BY))} ${n % FILES_A_PACKAGE}`, 'buffer');
}

/** Its indexes grow row by row, as a registry's do: one that is made anew has full pages, and each splits at its next entry. */
function sqliteFiller(dataDir: string): Filler {
  return async (template, from, to) => {
    const db = new Database(join(dataDir, 'registry.sqlite'));
    db.pragma('synchronous = off');
    db.pragma('cache_size = -2000000');
    const { object } = db.prepare('select min(object_no) as object from blobs').get() as { object: number };
    const addPackage = db
      .prepare(
        `insert into packages (id, no, ${PACKAGE_COLUMNS})
         select ?, (select max(no) + 1 from packages), ${PACKAGE_COLUMNS} from packages where id = ? returning no`,
      )
      .pluck();
    const addFile = db.prepare(
      "insert into package_files (package_no, path, blob_no, size, media_type, executable) values (?, ?, ?, 200, 'text/plain', 0)",
    );
    const blobOf = db.prepare('select no from blobs where digest = ?').pluck();
    const addBlob = db.prepare('insert into blobs (digest, size, object_no, "offset") values (?, 200, ?, 0)');
    db.transaction(() => {
      for (let index = from; index < to; index += 1) {
        const no = addPackage.get(idOf(index), template);
        for (let n = 0; n < FILES_A_PACKAGE; n += 1) {
          const digest = digestOf(index * FILES_A_PACKAGE + n);
          const path = `group/file-${String(n).padStart(6, '0')}.log`;
          addFile.run(no, path, blobOf.get(digest) ?? addBlob.run(digest, object).lastInsertRowid);
        }
      }
    })();
    db.close();
  };
}

function postgresFiller(url: string): Filler {
  return async (template, from, to) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const digest = `sha256(convert_to('row ' || (p / ${SHARED_BY}) || ' ' || n, 'UTF8'))`;
    const id = `'${ID.start}' || lpad(to_hex(p), ${ID.digits}, '0')`;
    const every = `generate_series(0, ${FILES_A_PACKAGE - 1}) n`;
    await client.query(
      `insert into packages (id, ${PACKAGE_COLUMNS}) select ${id}, ${PACKAGE_COLUMNS} from packages t, generate_series(${from}, ${to - 1}) p where t.id = $1`,
      [template],
    );
    await client.query(
      `insert into blobs (digest, size, object_no, "offset") select ${digest}, 200, (select min(object_no) from blobs), 0
       from generate_series(${from}, ${to - 1}) p, ${every} where p % ${SHARED_BY} = 0 on conflict do nothing`,
    );
    const { rows: kept } = await client.query('select indexname, indexdef from pg_indexes where indexname = any($1)', [
      INDEXES,
    ]);
    for (const { indexname } of kept) await client.query(`drop index ${indexname}`);
    await client.query(
      `insert into package_files (package_no, path, blob_no, size, media_type, executable)
       select k.no, 'group/file-' || lpad(n::text, 6, '0') || '.log', b.no, 200, 'text/plain', false
       from generate_series(${from}, ${to - 1}) p, ${every}, packages k, blobs b
       where k.id = ${id} and b.digest = ${digest}`,
    );
    for (const { indexdef } of kept) await client.query(indexdef);
    await client.query('vacuum analyze');
    await client.end();
  };
}

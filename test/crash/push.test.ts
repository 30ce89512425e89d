import { type ChildProcess, fork, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { digestFromBytes, parseDigest } from '../../src/core/digest.ts';
import type { PackageId } from '../../src/core/ids.ts';
import { connectSqlite } from '../../src/registry/connect.ts';
import { openRegistry } from '../../src/registry/registry.ts';
import { apiOf, sha256 } from '../support/api.ts';
import type { CrashPlan, CrashServerOptions, Phase } from '../support/crash-server.ts';
import { generator } from '../support/random.ts';

/**
 * The service dies (kill -9) or freezes (SIGSTOP) at a chosen effect of a chosen phase, while the command line pushes.
 * Afterwards it starts again, the push finishes, and the invariants hold. ARTIFACT_STORE_TEST_SEED repeats a run.
 */
const SEED = Number(process.env.ARTIFACT_STORE_TEST_SEED ?? randomBytes(4).readUInt32BE());
const PHASES: Phase[] = ['register', 'part', 'commit', 'verify', 'finalize'];
const KILLS_PER_PHASE = 6;
const FREEZES_PER_PHASE = 1;

const CLI = new URL('../../cli/bin.ts', import.meta.url).pathname;
const SERVER = new URL('../support/crash-server.ts', import.meta.url);

async function makeRun(dir: string): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  const contents: Record<string, Buffer> = {
    'empty.log': Buffer.alloc(0),
    'same/1': Buffer.from('same'),
    'same/2': Buffer.from('same'),
  };
  for (let n = 0; n < 5; n++) contents[`small/${n} ä.txt`] = Buffer.from(`small ${n} ${SEED}`);
  // Each of several parts, the last one short.
  for (let n = 0; n < 2; n++)
    contents[`big/${n}.bin`] = createHash('shake256', { outputLength: 150_000 }).update(`${SEED} ${n}`).digest();
  for (const [path, bytes] of Object.entries(contents)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), bytes);
    digests.set(path, sha256(bytes));
  }
  return digests;
}

interface Server {
  child: ChildProcess;
  url: string;
  exited: Promise<string | null>;
}

async function startServer(options: CrashServerOptions): Promise<Server> {
  const child = fork(SERVER, [JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const exited = new Promise<string | null>((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
  const url = await new Promise<string>((resolve, reject) => {
    child.once('message', (message) => resolve((message as { url: string }).url));
    child.once('exit', (code) => reject(new Error(`the service ended with ${code} before it listened`)));
  });
  return { child, url, exited };
}

async function stopServer(server: Server): Promise<void> {
  server.child.kill('SIGKILL');
  await server.exited;
}

function push(run: string, url: string, cache: string): Promise<{ code: number | null; out: string; err: string }> {
  const args = [
    CLI,
    'push',
    run,
    '--name',
    'run',
    '--producer',
    'crash',
    '--external-id',
    'run-1',
    '--json',
    '--url',
    url,
  ];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, XDG_CACHE_HOME: cache },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err })));
}

async function treeOf(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .toSorted();
}

interface Trial {
  dir: string;
  run: string;
  digests: Map<string, string>;
}

async function prepare(): Promise<Trial> {
  const dir = await mkdtemp(join(tmpdir(), 'artifact-store-crash-'));
  const run = join(dir, 'run');
  return { dir, run, digests: await makeRun(run) };
}

/** One push with one crash or freeze in it. @returns whether the plan was reached */
async function attempt(
  { dir, run }: Trial,
  plan: CrashPlan,
): Promise<{ reached: boolean; finished: boolean; log: string; url: string; server: Server }> {
  const options = { dataDir: join(dir, 'data'), port: 0, plan, acknowledged: join(dir, 'acknowledged') };
  await writeFile(options.acknowledged, '');
  let server = await startServer(options);
  const { url } = server;
  const port = Number(new URL(url).port);
  const restart = { ...options, port, plan: null };
  const cache = join(dir, 'cache');
  let log = '';
  let reached = false;

  let pushing: ReturnType<typeof push> | null = push(run, url, cache);
  if (plan.action === 'SIGKILL') {
    const first = await Promise.race([
      server.exited.then(() => 'died' as const),
      pushing.then(() => 'pushed' as const),
    ]);
    reached = first === 'died' || server.child.signalCode === 'SIGKILL';
    if (reached) server = await startServer(restart);
  } else {
    const frozen = async (): Promise<boolean> => (await readFile(options.acknowledged, 'utf8')).includes('frozen');
    let over = false;
    const ended = pushing.then(() => {
      over = true;
    });
    while (!over && !(await frozen())) await sleep(20);
    reached = await frozen();
    if (reached) await sleep(700);
    server.child.kill('SIGCONT');
    await Promise.race([ended, sleep(60_000)]);
  }
  let finished = false;
  for (let round = 0; round < 4 && !finished; round++) {
    const result = await (pushing ?? push(run, url, cache));
    pushing = null;
    finished = result.code === 0;
    log += `push exit ${result.code}\n${result.out}${result.err}\n`;
  }
  return { reached, finished, log, url, server };
}

type Assert = {
  is: (a: unknown, b: unknown, m?: string) => void;
  true: (a: boolean, m?: string) => void;
  deepEqual: (a: unknown, b: unknown, m?: string) => void;
};

async function checkInvariants(t: Assert, trial: Trial, url: string, server: Server): Promise<void> {
  const api = apiOf(url);
  const packages = (await api.get('/v1/packages?producer=crash')).body.items;
  t.is(packages.length, 1, 'one package, however often the push began');
  const [pkg] = packages;
  t.is(pkg.status, 'finalized');

  // 1: whole, byte for byte; the manifest is sealed by its digest.
  const manifestText = await (await fetch(`${url}/v1/packages/${pkg.id}/manifest`)).text();
  t.is(sha256(manifestText), pkg.manifest_digest);
  const manifest = JSON.parse(manifestText) as { files: Array<{ path: string; sha256: string }> };
  t.deepEqual(
    new Map(manifest.files.map((file) => [file.path, `sha256:${file.sha256}`])),
    new Map([...trial.digests].toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))),
  );
  for (const [path, digest] of trial.digests) {
    const answer = await fetch(
      `${url}/v1/packages/${pkg.id}/files/${path.split('/').map(encodeURIComponent).join('/')}`,
    );
    t.is(sha256(Buffer.from(await answer.arrayBuffer())), digest, path);
  }

  // A restart recovers whatever is left; then the folder and the registry say the same.
  await stopServer(server);
  const dataDir = join(trial.dir, 'data');
  const again = await startServer({ dataDir, port: 0, plan: null, acknowledged: join(trial.dir, 'acknowledged-2') });
  await stopServer(again);
  const blobs = join(dataDir, 'blobs');
  const onDisk = await treeOf(blobs);
  t.deepEqual(
    onDisk.filter((path) => /^(spool|uploads)\//.test(path)),
    [],
    'no temporary file stays',
  );
  const db = connectSqlite(join(dataDir, 'registry.sqlite'));
  const objects: Array<{ key: string; digest: Buffer }> = await db('objects').select('key', 'digest').orderBy('key');
  // 2 and 3: every object is there with the digest it was recorded with, and nothing else is.
  t.deepEqual(onDisk, objects.map((object) => object.key).toSorted(), 'objects on disk are those of the registry');
  for (const { key, digest } of objects) t.is(sha256(await readFile(join(blobs, key))), digestFromBytes(digest), key);
  // 4: one truth.
  const committed: Array<{ id: string }> = await db('uploads').where({ state: 'committed' }).orderBy('id').select('id');
  const audited: Array<{ subject_id: string }> = await db('audit_events')
    .where({ action: 'upload.committed' })
    .orderBy('subject_id')
    .select('subject_id');
  t.deepEqual(
    audited.map((row) => row.subject_id),
    committed.map((row) => row.id),
  );
  t.is((await db('audit_events').where({ action: 'package.finalized' })).length, 1);
  t.is((await db('audit_events').where({ action: 'package.created' })).length, 1);
  // 5: every upload has ended, and what was acknowledged is there.
  const unfinished = await db('uploads')
    .whereIn('state', ['open', 'completing', 'aborting'])
    .orWhere({ drop_key: true });
  t.deepEqual(unfinished, []);
  const acknowledged = await readFile(join(trial.dir, 'acknowledged'), 'utf8');
  for (const [, id] of acknowledged.matchAll(/uploads\/(upl_\w+)\/commit/g)) {
    t.true(
      committed.some((row) => row.id === id),
      `acknowledged ${id}`,
    );
  }
  await db.destroy();
  // 7: who knows only the digests gets nothing.
  const registry = await openRegistry(connectSqlite(join(dataDir, 'registry.sqlite')));
  const wanted = [...trial.digests.values()].map((digest) => ({ digest: parseDigest(digest), size: 4 }));
  const provable = await registry.read.files.provableBy({ producers: ['mallory'] }, 'pkg_none' as PackageId, wanted);
  t.is(provable.size, 0);
  await registry.close();
}

/** How many effects each phase has, counted in a push that nothing disturbs. */
async function countEffects(): Promise<Record<Phase, number>> {
  const trial = await prepare();
  const server = await startServer({
    dataDir: join(trial.dir, 'data'),
    port: 0,
    plan: null,
    acknowledged: join(trial.dir, 'acknowledged'),
  });
  const { code, out, err } = await push(trial.run, server.url, join(trial.dir, 'cache'));
  if (code !== 0) {
    await stopServer(server);
    throw new Error(`an undisturbed push failed: ${out}${err}`);
  }
  const counts = await new Promise<Record<Phase, number>>((resolve) => {
    server.child.once('message', (message) => resolve((message as { counts: Record<Phase, number> }).counts));
    server.child.send('counts');
  });
  await stopServer(server);
  await rm(trial.dir, { recursive: true, force: true });
  return counts;
}

const effects = countEffects();
const random = generator(SEED);
console.log(`# crash tests: seed ${SEED} (ARTIFACT_STORE_TEST_SEED=${SEED} repeats them)`);

for (const phase of PHASES) {
  for (const action of ['SIGKILL', 'SIGSTOP'] as const) {
    const times = action === 'SIGKILL' ? KILLS_PER_PHASE : FREEZES_PER_PHASE;
    for (let n = 0; n < times; n++) {
      // Spread over the phase, at random within each stretch.
      const where = (n + random()) / times;
      test.serial(`${action} in ${phase}, ${n + 1} of ${times}`, async (t) => {
        t.timeout(120_000);
        const total = (await effects)[phase];
        t.true(total > 3, `${phase} has effects`);
        let nth = 1 + Math.floor(where * total);
        for (let tries = 0; ; tries++) {
          const trial = await prepare();
          const { reached, finished, log, url, server } = await attempt(trial, { phase, nth, action });
          try {
            // Requests interleave differently every time: an effect near the end may not come.
            if (!reached && tries < 3) {
              nth = Math.max(1, Math.floor(nth / 2));
              continue;
            }
            t.true(reached, `${action} at effect ${nth} of ${total} in ${phase}`);
            t.true(finished, log);
            await checkInvariants(t, trial, url, server);
            return;
          } finally {
            await stopServer(server);
            await rm(trial.dir, { recursive: true, force: true });
          }
        }
      });
    }
  }
}

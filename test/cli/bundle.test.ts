import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import { type Bundled, workersOf } from '../../scripts/bundle.ts';
import { REWRITTEN } from '../../scripts/bundle-plugins.ts';
import { LEFT_OUT } from '../../scripts/left-out.ts';
import { buildInto } from '../support/built.ts';
import { processEnv } from '../support/process-env.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

/** The bundle, built once, against a real service. */
const test = anyTest as TestFn<{ folder: string; dist: string; files: Bundled[]; service: TestService }>;

const ROOT = resolve(import.meta.dirname, '../..');

test.before(async (t) => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'artifact-store-test-')));
  t.context = { folder, service: await startTestService(), ...(await buildInto(folder)) };
});

test.after.always(async (t) => {
  await t.context.service?.dispose();
  if (t.context.folder) await rm(t.context.folder, { recursive: true, force: true });
});

interface Ending {
  code: number | null;
  stdout: string;
  stderr: string;
  third: string;
}

async function run(dist: string, preload: string, args: string[], env: Record<string, string> = {}): Promise<Ending> {
  const flags = ['--require', join(ROOT, 'test/support', preload), join(dist, 'cli/bin.js'), ...args];
  const child = spawn(process.execPath, flags, { env: processEnv(env), stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((done) => child.once('close', done));
  const [stdout, stderr, third] = await Promise.all([
    text(child.stdout as Readable),
    text(child.stderr as Readable),
    buffer(child.stdio[3] as Readable),
  ]);
  return { code: await ended, stdout, stderr, third: third.toString() };
}

/** `…/node_modules/@scope/name/…` → `@scope/name`; null: our own. */
function packageOf(path: string): string | null {
  return /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(path)?.[1] ?? null;
}

/** What a command loaded: packages, our own sources, and built-in modules. */
async function loadedBy(
  { dist, files, service }: { dist: string; files: Bundled[]; service: TestService },
  args: string[],
  env: Record<string, string> = {},
) {
  const { code, stderr, stdout, third } = await run(dist, 'loaded-modules.cjs', args, {
    ARTIFACT_STORE_URL: service.url,
    ...env,
  });
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`);
  const loaded: { files: string[]; builtins: string[] } = JSON.parse(third);
  const paths = loaded.files.filter((url) => url.startsWith('file:')).map((url) => fileURLToPath(url));
  const modules = paths.flatMap((path) => files.find(({ file }) => join(dist, file) === path)?.modules ?? [path]);
  const packages = new Set(modules.map(packageOf).filter((name) => name !== null));
  return { stdout, paths, packages: [...packages].sort(), sources: modules, builtins: new Set(loaded.builtins) };
}

/** got, and what it takes from others; of cacheable-request a stand-in that is two lines. */
const OF_GOT = [
  'got',
  '@sindresorhus/is',
  'byte-counter',
  'cacheable-request',
  'chunk-data',
  'lowercase-keys',
  'uint8array-extras',
];
/** What takes long to load, or is no business of a client. */
const HEAVY = ['https', 'http2', 'tls', 'child_process', 'internal/deps/undici/undici'];

test('help and the version load the parser of the command line and no network', async (t) => {
  for (const args of [['--help'], ['--version'], ['push', '--help'], ['help', 'ls']]) {
    const { packages, builtins, paths } = await loadedBy(t.context, args);
    t.deepEqual(packages, ['commander'], args.join(' '));
    const network = ['http', 'dns', 'crypto', 'zlib', 'worker_threads', 'v8'];
    t.deepEqual(
      [...HEAVY, ...network].filter((name) => builtins.has(name)),
      [],
      args.join(' '),
    );
    t.true(paths.length <= 6, paths.join('\n'));
  }
});

test('no verb of a client loads a library of the service, nor TLS for a URL with http', async (t) => {
  const { folder } = t.context;
  await writeTree(join(folder, 'run'), { 'a.txt': 'A', 'b/c.txt': 'C'.repeat(70_000) });
  const env = { XDG_CACHE_HOME: join(folder, 'cache') };
  const pushed = await loadedBy(t.context, ['push', join(folder, 'run'), '--producer', 'tests', '--json'], env);
  const id = JSON.parse(pushed.stdout).package_id;
  const verbs = [
    ['ls'],
    ['show', id],
    ['manifest', id],
    ['cat', id, 'a.txt'],
    ['pull', id, join(folder, 'copy'), '--attestation', join(folder, 'attestation.json')],
    ['export', id, '--bundle', join(folder, 'run.tar')],
    ['diff', id, join(folder, 'run')],
    ['verify', id],
    ['retention', id],
    ['eligible'],
    ['sweep'],
    ['doctor'],
  ];
  const all = [pushed];
  for (const verb of verbs) all.push(await loadedBy(t.context, verb, env));
  for (const [index, { packages, builtins, sources }] of all.entries()) {
    const verb = ['push', ...verbs.map(([name]) => name)][index];
    // better-sqlite3: the client's cache of files.
    const known = ['commander', 'zod', ...OF_GOT, ...(verb === 'push' ? ['better-sqlite3'] : [])];
    t.deepEqual(
      packages.filter((name) => !known.includes(name)),
      [],
      verb,
    );
    t.deepEqual(
      HEAVY.filter((name) => builtins.has(name)),
      [],
      verb,
    );
    t.deepEqual(
      sources.filter((source) => /^src\/(blobs|http|registry|usecases)\//.test(source)),
      [],
      verb,
    );
  }
  t.true(all[1] !== undefined && all[1].paths.length <= 8, all[1]?.paths.join('\n'));
});

test('stack traces name the sources and their lines', async (t) => {
  const { code, stderr } = await run(t.context.dist, 'stack-of-write.cjs', ['--version']);
  t.is(code, 0);
  t.true(stderr.startsWith('Error: the way of a write\n    at '), stderr);
  const places = [...stderr.matchAll(/ at .*?(\w+) \(.*\/(cli\/[\w/-]+\.ts):(\d+):\d+\)/g)];
  t.true(places.length > 1, stderr);
  for (const [frame, name, source, line] of places) {
    const lines = (await readFile(join(ROOT, source as string), 'utf8')).split('\n');
    t.regex(lines[Number(line) - 1] ?? '', /\w\(/, `${frame} (${name})`);
  }
});

test('what the bundle asks of others is native or never loaded, and each package in it has its licence beside it', async (t) => {
  const { dist, files } = t.context;
  const own = new Set(files.map(({ file }) => file));
  const asked = files.flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports]);
  t.deepEqual(
    [...new Set(asked)].filter((name) => !own.has(name) && !name.startsWith('node:')),
    ['better-sqlite3'],
  );
  const licences = await readFile(join(dist, 'LICENCES.txt'), 'utf8');
  const packages = new Set(files.flatMap(({ modules }) => modules.map(packageOf)).filter((name) => name !== null));
  t.true(packages.size > 50);
  for (const name of packages) t.true(licences.includes(`${name} `), name);
});

test('workers and migrations are files of their own', async (t) => {
  const { files } = t.context;
  const names = files.map(({ file }) => file);
  const workers = workersOf(ROOT).map((source) => basename(source, '.ts'));
  t.true(workers.length > 5);
  for (const worker of workers) t.true(names.includes(`cli/${worker}.js`), worker);
  for (const source of await readdir(join(ROOT, 'cli'), { recursive: true })) {
    if (/-(worker|process)\.ts$/.test(source)) t.true(workers.includes(basename(source, '.ts')), source);
  }
  const migrations = await readdir(join(ROOT, 'migrations'));
  for (const migration of migrations.filter((name) => /^\d/.test(name))) {
    t.true(names.includes(`migrations/${basename(migration, '.ts')}.js`), migration);
  }
  const folder = await tempFolder(t);
  await writeTree(join(folder, 'run'), { 'a.txt': 'A' });
  const local = ['--local', '--data-dir', join(folder, 'data')];
  const env = { XDG_CACHE_HOME: join(folder, 'cache') };
  const push = ['push', join(folder, 'run'), '--producer', 'tests', '--json', ...local];
  const pushed = await run(t.context.dist, 'loaded-modules.cjs', push, env);
  t.is(pushed.code, 0, pushed.stderr);
  const pulled = ['pull', JSON.parse(pushed.stdout).package_id, join(folder, 'copy'), ...local];
  t.is((await run(t.context.dist, 'loaded-modules.cjs', pulled, env)).code, 0);
  t.is(await readFile(join(folder, 'copy/a.txt'), 'utf8'), 'A');
});

test('what is left out or rewritten is in the bundle as long as the packages have it', async (t) => {
  const { dist, files } = t.context;
  const modules = new Set(files.flatMap(({ modules }) => modules));
  for (const { module } of [...LEFT_OUT, ...REWRITTEN]) t.true(modules.has(`node_modules/${module}`), module);
  for (const { module, exports } of LEFT_OUT) {
    const real = await import(join(ROOT, 'node_modules', module));
    for (const name of exports) t.true(name in real, `${module} has no ${name}`);
    const [file] = files.filter(({ modules }) => modules.includes(`node_modules/${module}`));
    t.truthy(file && (await readFile(join(dist, file.file), 'utf8')), module);
  }
});

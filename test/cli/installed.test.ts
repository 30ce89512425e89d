import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import anyTest, { type TestFn } from 'ava';
import { type Installed, installedClientSuite } from '../suites/cli/installed-client.ts';
import { builtIn } from '../support/built.ts';
import { BUILT_VARIABLE } from '../support/command.ts';
import { readTree, writeTree } from '../support/tree.ts';

/**
 * What a person gets who installs the package: packed from a copy, so that no other test sees a half-built dist, and
 * installed in a folder that has nothing of the checkout.
 */
const test = anyTest as TestFn<Installed & { bin: string }>;

const ROOT = resolve(import.meta.dirname, '../..');
/** SQLite is native, and what it names as its own dependency. */
const BESIDE = ['better-sqlite3', 'node-addon-api'];
const NOT_PACKED = new Set(['.git', 'node_modules', 'dist', 'data', '.demo', 'coverage', 'test']);

interface Ending {
  code: number;
  stdout: string;
  stderr: string;
}

/** The environment without what `npm test` put into it about this project; its settings for the registry stay. */
function environment(): Record<string, string> {
  const own =
    /^(npm_(package|lifecycle)_|npm_(command|execpath|node_execpath)$|npm_config_(local_prefix|prefix)$|INIT_CWD$|ARTIFACT_STORE_|NODE_)/;
  const kept = Object.entries(process.env).filter(([name, value]) => value !== undefined && !own.test(name));
  const path = [dirname(process.execPath), ...(process.env.PATH ?? '').split(delimiter)].filter(
    (entry) => !entry.includes('node_modules/.bin'),
  );
  return { ...(Object.fromEntries(kept) as Record<string, string>), PATH: path.join(delimiter) };
}

function run(file: string, args: string[], cwd: string, env: Record<string, string> = {}): Promise<Ending> {
  return new Promise((done) => {
    const options = { cwd, env: { ...environment(), ...env }, maxBuffer: 64 * 1024 ** 2 };
    execFile(file, args, options, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr });
    });
  });
}

async function done(ending: Promise<Ending>): Promise<Ending> {
  const { code, stdout, stderr } = await ending;
  if (code !== 0) throw new Error(`ended with ${code}:\n${stdout}\n${stderr}`);
  return { code, stdout, stderr };
}

test.before(async (t) => {
  t.timeout(300_000);
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'artifact-store-test-')));
  const source = join(folder, 'source');
  await mkdir(source);
  for (const name of await readdir(ROOT)) {
    if (!NOT_PACKED.has(name)) await cp(join(ROOT, name), join(source, name), { recursive: true });
  }
  await symlink(join(ROOT, 'node_modules'), join(source, 'node_modules'));
  // `prepare` would build the same dist/ that the run has built for all files.
  const { [BUILT_VARIABLE]: built } = process.env;
  if (built) {
    await cp(builtIn(built), join(source, 'dist'), { recursive: true });
    await chmod(join(source, 'dist/cli/bin.js'), 0o755);
  }
  const asBuilt = built ? ['--ignore-scripts'] : [];
  await done(run('npm', ['pack', ...asBuilt, '--pack-destination', folder], source));
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz')) as string;
  const home = join(folder, 'home');
  await writeTree(home, { 'package.json': '{"name": "somewhere-else", "private": true}' });
  // From the checkout: whatever else the package asked for would have to come from a registry, and nothing does.
  const beside = BESIDE.map((name) => join(folder, 'beside', name));
  for (const [index, name] of BESIDE.entries()) {
    await cp(join(ROOT, 'node_modules', name), beside[index] as string, { recursive: true });
  }
  const flags = ['--offline', '--install-links', '--no-audit', '--no-fund', '--loglevel', 'error'];
  await done(run('npm', ['install', ...flags, join('..', tarball), ...beside], home));
  t.context = { folder: home, bin: join(home, 'node_modules/.bin/artifact-store'), run };
});

test.after.always(async (t) => {
  if (t.context.folder) await rm(dirname(t.context.folder), { recursive: true, force: true });
});

test('--version and --help', async (t) => {
  const { folder, bin } = t.context;
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  t.deepEqual(await run(bin, ['--version'], folder), { code: 0, stdout: `${version}\n`, stderr: '' });
  const help = await run(bin, ['--help'], folder);
  t.is(help.code, 0, help.stderr);
  for (const verb of ['push', 'pull', 'ingest', 'serve', 'doctor'])
    t.regex(help.stdout, new RegExp(`^ +${verb}\\b`, 'm'));
});

test('push --local, ls, verify and pull', async (t) => {
  const { folder, bin } = t.context;
  const env = { XDG_CACHE_HOME: join(folder, 'cache') };
  const local = (...args: string[]) => run(bin, [...args, '--local', '--data-dir', 'store'], folder, env);
  const large = Buffer.alloc(3 * 1024 ** 2, 'evidence ');
  await writeTree(join(folder, 'run'), { 'a b.txt': 'A', 'sub/ä.bin': large, empty: '' });
  const pushed = await done(local('push', 'run', '--producer', 'tests', '--json'));
  const { package_id, status, file_count } = JSON.parse(pushed.stdout);
  t.is(status, 'finalized');
  t.is(file_count, 3);
  t.regex((await done(local('ls'))).stdout, new RegExp(package_id));
  await done(local('verify', package_id));
  await done(local('pull', package_id, 'copy'));
  t.deepEqual(await readTree(join(folder, 'copy')), await readTree(join(folder, 'run')));
});

test('serve, and a push to it', async (t) => {
  const { folder } = t.context;
  const bin = join(folder, 'node_modules/artifact-store/dist/cli/bin.js');
  const args = ['serve', '--port', '0', '--data-dir', join(folder, 'served'), '--json'];
  const service = spawn(process.execPath, [bin, ...args], { cwd: folder, env: environment() });
  const ended = once(service, 'close');
  t.teardown(() => service.kill('SIGKILL'));
  const [line] = await once(createInterface({ input: service.stdout }), 'line');
  const { url } = JSON.parse(line) as { url: string };
  t.true((await (await fetch(`${url}/docs/errors`)).text()).includes('<tr id="held">'));
  const env = { ARTIFACT_STORE_URL: url, XDG_CACHE_HOME: join(folder, 'cache') };
  await writeTree(join(folder, 'sent'), { 'a.txt': 'A' });
  const pushed = await done(run(t.context.bin, ['push', 'sent', '--producer', 'tests', '--json'], folder, env));
  t.is(JSON.parse(pushed.stdout).status, 'finalized');
  await done(run(t.context.bin, ['verify', JSON.parse(pushed.stdout).package_id], folder, env));
  service.kill('SIGTERM');
  t.deepEqual(await ended, [0, null]);
});

test('nothing is installed beside it but SQLite, which is native', async (t) => {
  const beside = (await readdir(join(t.context.folder, 'node_modules'))).filter((name) => !name.startsWith('.'));
  t.deepEqual(beside.sort(), ['artifact-store', ...BESIDE]);
});

test('the package holds what it needs to run, and no sources, tests or data', async (t) => {
  const { folder } = t.context;
  const installed = join(folder, 'node_modules/artifact-store');
  const files = Object.keys(await readTree(installed)).filter((path) => !path.startsWith('node_modules/'));
  t.true(files.includes('dist/cli/bin.js'));
  t.true(files.includes('LICENSE'));
  t.deepEqual(
    files.filter((path) => !/^(dist|docs|deploy|fixtures\/guide-board)\/|^[\w.]+(\.md|\.json)$|^LICENSE$/.test(path)),
    [],
  );
  t.deepEqual(
    files.filter((path) => /(?<!^dist\/types\/[\w-]+\.d)\.tsx?$|\.sqlite|\.test\./.test(path)),
    [],
  );
});

installedClientSuite(test);

/** The first Nodes in PATH that are too old, as other programs of this machine would take them. */
async function oldNodes(): Promise<string[]> {
  const found: string[] = [];
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const { code, stdout } = await run(join(folder, 'node'), ['--version'], ROOT);
    if (code === 0 && Number(/^v(\d+)/.exec(stdout)?.[1]) < 24) found.push(join(folder, 'node'));
  }
  return found;
}

test('an older Node gets exactly one clear line', async (t) => {
  const { folder } = t.context;
  const bin = join(folder, 'node_modules/artifact-store/dist/cli/bin.js');
  const pretend = join(folder, 'pretend.cjs');
  await writeFile(
    pretend,
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.9.0' } });
     Object.defineProperty(process, 'version', { value: 'v20.9.0' });`,
  );
  const asOld: Array<[string, string[]]> = [[process.execPath, ['--require', pretend]]];
  for (const node of await oldNodes()) asOld.push([node, []]);
  for (const [node, flags] of asOld) {
    for (const args of [['--version'], ['serve', '--json'], ['push', 'run', '--local']]) {
      const { code, stdout, stderr } = await run(node, [...flags, bin, ...args], folder);
      t.is(code, 1, node);
      t.is(stdout, '');
      t.regex(stderr, /^artifact-store needs Node\.js 24\.5 or newer, but this is v\d+\.\d+\.\d+ \(.+\)\.\n$/);
    }
  }
});

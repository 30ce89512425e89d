import { type ChildProcess, execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import type { ObjectKey } from '../../src/blobs/key-layout.ts';
import { apiOf, sha256 } from '../support/api.ts';
import { ARCHIVE_TOOLS, unpackersOf, unpackWith } from '../support/archive-tools.ts';
import { cliOf, runCli } from '../support/cli-child.ts';
import { httpFraming } from '../support/exchanges.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { required } from '../support/required.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

const run = promisify(execFile);
const tools = await required('Unpacking archives', ARCHIVE_TOOLS);
const service = await startTestService();
test.after.always(() => service.dispose());
const api = apiOf(service.url);

const MIB = 1024 ** 2;
/** Compressed and in packs, compressed and large, and not compressible. */
const FILES: Record<string, string | Buffer> = {
  ...Object.fromEntries(
    Array.from({ length: 300 }, (_, nth) => [`logs/${nth % 7}/${nth}.log`, `line ${nth}\n`.repeat(200)]),
  ),
  'large.log': Buffer.alloc(5 * MIB, 'a line of a large log\n'),
  'random.bin': randomBytes(20 * MIB),
  'tools/run.sh': '#!/bin/sh\n',
};
const MTIME = new Date('2023-04-05T06:07:08Z');

async function bench(t: ExecutionContext, files = FILES, url = service.url) {
  const folder = await tempFolder(t);
  const env = { ARTIFACT_STORE_URL: url, XDG_CACHE_HOME: join(folder, 'cache') };
  const source = await writeTree(join(folder, 'source'), files);
  if ('tools/run.sh' in files) {
    await chmod(join(source, 'tools/run.sh'), 0o755);
    await utimes(join(source, 'tools/run.sh'), MTIME, MTIME);
  }
  const push = await cliOf({ ...env, ARTIFACT_STORE_URL: service.url })(
    'push',
    source,
    '--producer',
    'tests',
    '--json',
  );
  const out = join(folder, 'out');
  await mkdir(out);
  return { folder, env, cli: cliOf(env), source, id: push.json.package_id as string, out };
}

test('an archive of each format is what was pushed', async (t) => {
  const { cli, source, id, out, folder } = await bench(t);
  const expected = await readTree(source);
  for (const format of ['tar', 'tar.zst', 'zip']) {
    const file = join(out, `run.${format}`);
    const { code, json, stderr } = await cli('export', id, file, '--json');
    t.is(code, 0, stderr);
    const bytes = await readFile(file);
    const told = { package_id: id, file, format, size: bytes.length, digest: sha256(bytes), resumed_bytes: 0 };
    t.like(json, told);
    t.deepEqual(await readdir(out), [`run.${format}`], 'nothing stays beside it');
    if (tools) {
      const into = join(folder, `unpacked ${format}`);
      await unpackWith(unpackersOf(format)[0] as string, format, file, into);
      t.deepEqual(await readTree(into), expected, format);
      const { mode, mtimeMs } = await stat(join(into, 'tools/run.sh'));
      t.is(mode & 0o111, 0o111, format);
      t.is(mtimeMs, MTIME.getTime(), format);
    }
    const again = await cli('export', id, file, '--json');
    t.is(again.code, 4, 'no file is replaced');
    t.is(again.json.error.code, 'file_refused');
    await run('rm', [file]);
  }
});

test('--path, --portable-names, stdout, and what contradicts itself', async (t) => {
  const files = { 'a:b.log': 'colon', 'reports/r.md': 'report', 'x.log': 'x' };
  const { cli, id, out } = await bench(t, files);
  const tar = await cli('export', id, '-', '--path', '*.log', '--portable-names');
  t.is(tar.code, 0, tar.stderr);
  const names = (await listing(tar.bytes, out)).split('\n').filter(Boolean);
  t.deepEqual(names, ['artifact-store-notes.json', 'a_b.log', 'x.log']);
  const none = await cli('export', id, join(out, 'none.zip'), '--path', '*.xml');
  t.is(none.code, 3);
  t.regex(none.stderr, /xml/, 'the glob is named');
  const bad = await cli('export', id, join(out, 'none.zip'), '--path', '../x');
  t.is(bad.code, 2);
  t.notRegex(bad.stderr, /was answered with/, 'the service says what is wrong with a glob');
  const wrong = [
    [join(out, 'a.rar')],
    [],
    ['-', '--json'],
    ['-', '--bundle', 'b.tar'],
    ['--bundle', 'b.tar', '--format', 'zip'],
    [join(out, 'no/such/folder.zip')],
  ];
  for (const args of wrong) t.is((await cli('export', id, ...args)).code, 2, args.join(' '));
  t.deepEqual(await readdir(out), ['listed.tar'], 'nothing is left of what failed');
});

async function listing(tar: Buffer, folder: string): Promise<string> {
  const file = join(folder, 'listed.tar');
  await writeFile(file, tar);
  return (await run('tar', ['-tf', file])).stdout;
}

test('a lost connection is taken up where it broke; and so is what an earlier run has left', async (t) => {
  const { hostname: host, port } = new URL(service.url);
  const proxy = await startFaultProxy({ host, port: Number(port) }, httpFraming);
  t.teardown(() => proxy.close());
  const { cli, env, id, out } = await bench(t, FILES, `http://127.0.0.1:${proxy.port}`);
  const file = join(out, 'run.zip');
  const isGet = ({ what }: { what: string }) => /^GET .*\/archive/.test(what);
  const breaking = proxy.once({ point: { told: 7 * MIB }, of: isGet, act: (link) => link.cut() });
  t.is((await cli('export', id, file)).code, 0);
  await breaking;
  t.is(proxy.seen.filter(isGet).length, 2);
  const whole = sha256(await readFile(file));
  await run('rm', [file]);
  const killed = Promise.withResolvers<ChildProcess>();
  const dying = proxy.once({
    point: { told: 22 * MIB },
    of: isGet,
    act: async () => {
      while (!(await sizes(out)).some((size) => size > 16 * MIB)) await nextTurn();
      (await killed.promise).kill('SIGKILL');
    },
  });
  const died = await runCli(['export', id, file], { env, onSpawn: killed.resolve });
  await dying;
  t.is(died.signal, 'SIGKILL');
  t.is((await readdir(out)).length, 1, 'a part under another name');
  const resumed = await cliOf({ ...env, ARTIFACT_STORE_URL: service.url })('export', id, file, '--json');
  t.is(resumed.code, 0, resumed.stdout);
  t.is(resumed.json.resumed_bytes, 16 * MIB);
  t.is(resumed.json.digest, whole);
  t.is(sha256(await readFile(file)), whole);
  t.deepEqual(await readdir(out), ['run.zip']);
});

async function sizes(folder: string): Promise<number[]> {
  return Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size));
}

test('a damaged file ends the export with its name, and leaves no archive', async (t) => {
  const { cli, id, out } = await bench(t, { 'a.bin': randomBytes(2 * MIB), 'b.bin': randomBytes(2 * MIB) });
  const { registry, blobs } = service.services;
  const files = (await api.get(`/v1/packages/${id}/files`)).body.items;
  const location = await registry.read.blobs.locate(files[1].digest);
  await blobs.objects.remove({ key: location?.key as ObjectKey, versionId: null });
  for (const format of ['tar', 'zip']) {
    const { code, json } = await cli('export', id, join(out, `run.${format}`), '--json');
    t.is(code, 5, format);
    t.like(json.error, { code: 'integrity_failure', path: 'b.bin' });
  }
  const compressed = await cli('export', id, join(out, 'run.tar.zst'));
  t.is(compressed.code, 6);
  t.regex(compressed.stderr, /broke off after .* damaged file/);
  const left = await readdir(out);
  t.true(
    left.every((name) => name.startsWith('.artifact-store-part-')),
    left.join(),
  );
});

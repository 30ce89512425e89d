import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { HAND_CHECK } from '../../cli/client/pull/bundle-readme.ts';
import { TarFile } from '../../cli/client/pull/tar-file.ts';
import { apiOf, sha256 } from '../support/api.ts';
import { STRANGE_NAMES } from '../support/attested.ts';
import { cliOf } from '../support/cli-child.ts';
import { HAND_TOOLS } from '../support/hand-tools.ts';
import { processEnv } from '../support/process-env.ts';
import { withRegistry } from '../support/registry-content.ts';
import { required } from '../support/required.ts';
import { startTestService } from '../support/service.ts';
import { mayMount, mountFor } from '../support/small-disk.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

const run = promisify(execFile);
const tools = await required('Checking a bundle by hand', HAND_TOOLS);
const service = await startTestService();
test.after.always(() => service.dispose());
const api = apiOf(service.url);

const LONG = `${'long/'.repeat(60)}${'n'.repeat(200)}`;
const FILES: Record<string, string | Buffer> = {
  ...STRANGE_NAMES,
  [LONG]: 'a path that plain tar cannot name',
  'tools/run.sh': '#!/bin/sh\n',
  'large.bin': Buffer.alloc(12 * 1024 ** 2, 'large'),
};

async function bench(t: ExecutionContext, files: Record<string, string | Buffer> = FILES, url = service.url) {
  const folder = await tempFolder(t);
  const cli = cliOf({ ARTIFACT_STORE_URL: url, XDG_CACHE_HOME: join(folder, 'cache') });
  const source = await writeTree(join(folder, 'source'), files);
  if ('tools/run.sh' in files) await chmod(join(source, 'tools/run.sh'), 0o755);
  const { json: pushed } = await cli('push', source, '--producer', 'tests', '--json');
  const out = join(folder, 'out');
  await mkdir(out);
  const bundle = join(out, 'run.tar');
  return { folder, cli, source, id: pushed.package_id as string, out, bundle };
}

async function unpack(bundle: string, folder: string): Promise<string> {
  const into = join(folder, 'unpacked');
  await mkdir(into);
  await run('tar', ['-xf', bundle, '-C', into]);
  return into;
}

test('a bundle has all that is needed to check it, and the check needs nothing else', async (t) => {
  const { folder, cli, source, id, out, bundle } = await bench(t);
  const result = await cli('export', id, '--bundle', bundle, '--json');
  t.is(result.code, 0, result.stdout);
  t.deepEqual(await readdir(out), ['run.tar'], 'nothing stays beside it');
  const bytes = await readFile(bundle);
  t.like(result.json, {
    package_id: id,
    files: Object.keys(FILES).length,
    size: bytes.length,
    digest: sha256(bytes),
    bundle,
  });
  const { key_id: key } = result.json;
  const into = await unpack(bundle, folder);
  t.deepEqual((await readdir(into)).toSorted(), [
    'README.txt',
    'attestation.json',
    'checkpoint',
    'keys',
    'manifest.json',
    'package',
    'proof',
  ]);
  t.deepEqual(await readdir(join(into, 'keys')), [`${key}.pem`]);
  t.deepEqual(await readTree(join(into, 'package')), await readTree(source));
  t.is((await stat(join(into, 'package/tools/run.sh'))).mode & 0o111, 0o111);
  t.is((await stat(join(into, 'package/plain'))).mode & 0o111, 0);
  const { finalized_at } = (await api.get(`/v1/packages/${id}`)).body;
  const seconds = Math.floor(Date.parse(finalized_at) / 1_000);
  t.is((await stat(join(into, 'package/plain'))).mtimeMs, seconds * 1_000);

  const readme = await readFile(join(into, 'README.txt'), 'utf8');
  const [, ...args] = (/^ {2}artifact-store (verify --offline .*)$/m.exec(readme)?.[1] ?? '').split(' ');
  const nobody = cliOf({ ARTIFACT_STORE_URL: 'http://127.0.0.1:1', XDG_CACHE_HOME: join(folder, 'no-cache') });
  const absolute = args.map((arg) => (arg.startsWith('-') ? arg : join(into, arg)));
  const verified = await nobody('verify', ...absolute, '--json');
  t.like(verified.json, { ok: true, package_id: id, key_id: key }, verified.stdout);
  t.true(verified.json.log.size > verified.json.log.index);
});

test('the same package gives the same bytes', async (t) => {
  // In a log of its own: nobody else has a checkpoint made meanwhile.
  const own = await startTestService();
  t.teardown(() => own.dispose());
  const { cli, id, out } = await bench(t, FILES, own.url);
  for (const name of ['one.tar', 'two.tar']) t.is((await cli('export', id, '--bundle', join(out, name))).code, 0);
  t.is(sha256(await readFile(join(out, 'one.tar'))), sha256(await readFile(join(out, 'two.tar'))));
});

test('without the event in the registry there is no proof, and the rest is checked as before', async (t) => {
  const own = await startTestService();
  t.teardown(() => own.dispose());
  const { folder, cli, id, bundle } = await bench(t, { a: 'A' }, own.url);
  // As a registry is that was rebuilt from storage.
  await withRegistry(own.env, (db) => db('audit_events').delete());
  const result = await cli('export', id, '--bundle', bundle, '--json');
  t.is(result.code, 0, result.stdout);
  t.is(result.json.log, false);
  const into = await unpack(bundle, folder);
  t.deepEqual((await readdir(into)).toSorted(), ['README.txt', 'attestation.json', 'keys', 'manifest.json', 'package']);
  const readme = await readFile(join(into, 'README.txt'), 'utf8');
  t.notRegex(readme, /--proof|tlog-proof\)/);
});

test('nothing is replaced, and what cannot be checked is not written', async (t) => {
  const { cli, id, out, bundle } = await bench(t, { a: 'A' });
  await writeFile(bundle, 'mine');
  const taken = await cli('export', id, '--bundle', bundle, '--json');
  t.is(taken.code, 4);
  t.like(taken.json.error, { code: 'file_refused', path: bundle });
  t.is(await readFile(bundle, 'utf8'), 'mine');

  const nowhere = await cli('export', id, '--bundle', join(out, 'absent/run.tar'), '--json');
  t.is(nowhere.code, 2);
  t.regex(nowhere.json.error.message, /absent" does not exist/);

  const open = await api.create();
  const unfinished = await cli('export', open, '--bundle', join(out, 'open.tar'), '--json');
  t.is(unfinished.code, 4);
  t.is(unfinished.json.error.code, 'package_not_finalized');

  const rules = [{ path: 'raw', days: 0 }];
  const shorter = await api.preserve({ raw: 'r', kept: 'k' }, { file_rules: rules });
  const body = { paths: ['raw'], reason: 'a test' };
  t.is((await api.post(`/v1/packages/${shorter}/file-deletions`, body)).status, 200);
  const lacking = await cli('export', shorter, '--bundle', join(out, 'lacking.tar'), '--json');
  t.is(lacking.code, 4);
  t.is(lacking.json.error.code, 'file_deleted');
  t.deepEqual(await readdir(out), ['run.tar']);
});

test('a damaged file: exit 5, and no bundle', async (t) => {
  const { cli, out, bundle } = await bench(t, { other: 'O' });
  const id = await api.preserve({ a: 'the bytes of a', b: 'B' });
  const hex = sha256('the bytes of a').slice(7);
  const blobs = await readdir(join(service.dataDir, 'blobs/objects'), { recursive: true, withFileTypes: true });
  const [object] = blobs.filter(({ name }) => name.startsWith(hex));
  const stored = join(object?.parentPath ?? '', object?.name ?? '');
  await chmod(stored, 0o644);
  await writeFile(stored, 'The bytes of a');
  const result = await cli('export', id, '--bundle', bundle, '--json');
  t.is(result.code, 5, result.stdout);
  t.like(result.json.error, { code: 'integrity_failure', path: 'a' });
  t.deepEqual(await readdir(out), []);
});

test('a file that changed on the disk does not go into a tar file', async (t) => {
  const folder = await writeTree(await tempFolder(t), { a: 'changed' });
  const tar = new TarFile(join(folder, 'tar'), { mtime: 0, signal: AbortSignal.any([]) });
  const right = { size: 7, sha256: sha256('changed').slice(7) };
  await tar.addFile({ path: 'a' }, join(folder, 'a'), right);
  for (const wrong of [
    { ...right, sha256: sha256('the right').slice(7) },
    { ...right, size: 6 },
    { ...right, size: 8 },
  ]) {
    const failed = tar.addFile({ path: 'a' }, join(folder, 'a'), wrong);
    await t.throwsAsync(failed, { code: 'integrity_failure', message: /"a" changed on the disk/ });
  }
  tar.close();
});

if (mayMount()) {
  test('a full disk: what is needed is told, and nothing stays', async (t) => {
    const { folder, cli, id } = await bench(t);
    const disk = await mountFor(t, join(folder, 'disk'), 'mount -t tmpfs -o size=20m tmpfs "$1"');
    const result = await cli('export', id, '--bundle', join(disk, 'run.tar'), '--json');
    t.is(result.code, 1, result.stdout);
    t.is(result.json.error.code, 'no_space');
    t.regex(result.json.error.next, /twice the size of its package/);
    t.deepEqual(await readdir(disk), []);
  });
}

test('the commands in a bundle are those of docs/verify-by-hand.md', async (t) => {
  const page = await readFile(resolve(import.meta.dirname, '../../docs/verify-by-hand.md'), 'utf8');
  const blocks = [...page.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block);
  t.is(blocks.slice(1).join(''), HAND_CHECK);
  t.true(blocks[0]?.startsWith('dir='));
});

if (tools !== null) {
  test('and its text runs them', async (t) => {
    const { folder, cli, id, bundle } = await bench(t);
    t.is((await cli('export', id, '--bundle', bundle)).code, 0);
    const cwd = await unpack(bundle, folder);
    const line = /^ {2}(sed .*)$/m.exec(await readFile(join(cwd, 'README.txt'), 'utf8'))?.[1] as string;
    const options = { cwd, env: processEnv({ TMPDIR: folder }) };
    const { stdout } = await run('bash', ['-o', 'pipefail', '-c', line], options);
    t.true(stdout.includes(`package has the files of ${id}, as they were attested.\n`), stdout);
    t.regex(stdout, /^The log artifact-store\/sto_\w+ has its finalization\.\n$/m);
    await writeFile(join(cwd, 'package/plain'), 'changed');
    await t.throwsAsync(run('bash', ['-o', 'pipefail', '-c', line], options), { message: /plain: FAILED|1 computed/ });
  });
}

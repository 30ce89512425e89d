import { createHash } from 'node:crypto';
import { chmod, lstat, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runCli } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

const MIB = 1024 ** 2;
// Small limits, so that batches, parts and pages are met with few bytes.
const service = await startTestService({
  limits: { single_part_max: 6 * MIB, part_size: 5 * MIB, files_per_call: 7, objects_per_call: 3 },
});
test.after.always(() => service.dispose());

async function workplace(t: ExecutionContext) {
  const folder = await tempFolder(t);
  const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'cache') };
  const cli = (...args: string[]) => runCli(args, { env, cwd: folder });
  return { folder, run: join(folder, 'run'), copy: join(folder, 'copy'), cli };
}

let made = 0;
function unique(text = ''): string {
  made += 1;
  return `${process.pid}-${made} ${text}`;
}

test('a directory comes back byte for byte, with times and the executable bit', async (t) => {
  const { run, copy, cli } = await workplace(t);
  const large = Buffer.alloc(12 * MIB, unique('large'));
  const same = unique('twice the same');
  await writeTree(run, {
    'run.json': '{}',
    empty: '',
    'with blanks/and ünïcödé/日本.txt': unique(),
    '-dash': unique(),
    'back\\slash "quoted"': unique(),
    'trailing ': unique(),
    same,
    'again/same': same,
    'bin/tool.sh': '#!/bin/sh\n',
    'large.bin': large,
  });
  await chmod(join(run, 'bin/tool.sh'), 0o755);
  await utimes(join(run, 'run.json'), 1_700_000_000, 1_700_000_000);

  const pushed = await cli('push', run, '--producer', 'tests', '--json');
  t.is(pushed.code, 0, pushed.stderr);
  t.like(pushed.json, { status: 'finalized', file_count: 10, reused: false });
  t.is(pushed.json.uploaded.objects, 2, 'the large file, and a pack of all others');
  t.regex(pushed.json.manifest_digest, /^sha256:/);
  t.true(Date.parse(pushed.json.expires_at) > Date.now());
  t.true(pushed.json.seconds > 0);

  const id = pushed.json.package_id;
  const pulled = await cli('pull', id, copy, '--preserve', '--json');
  t.is(pulled.code, 0, pulled.stderr);
  t.like(pulled.json, { files: 10, skipped: 0 });
  t.deepEqual(await readTree(copy), await readTree(run));
  t.truthy((await lstat(join(copy, 'bin/tool.sh'))).mode & 0o100);
  t.falsy((await lstat(join(copy, 'run.json'))).mode & 0o100);
  t.is((await lstat(join(copy, 'run.json'))).mtimeMs, 1_700_000_000_000);

  const again = await cli('pull', id, copy, '--json');
  t.like(again.json, { files: 0, skipped: 10 });
  t.is((await cli('diff', id, copy)).code, 0);
  const verified = await cli('verify', id, '--against', run, '--json');
  t.is(verified.code, 0, verified.stderr);
  t.like(verified.json, { ok: true, files: 10, failures: [] });
});

test('what the store has is not sent again, and the same run is not preserved twice', async (t) => {
  const { run, cli } = await workplace(t);
  await writeTree(run, { a: unique(), b: unique(), 'c/d': unique() });
  const external = unique('external');
  const args = ['push', run, '--producer', 'tests', '--external-id', external, '--json'];
  const first = await cli(...args);
  t.is(first.json.uploaded.objects, 1, first.stderr);
  const second = await cli(...args);
  t.is(second.code, 0, second.stderr);
  t.like(second.json, { reused: true, package_id: first.json.package_id, uploaded: { objects: 0, bytes: 0 } });
  const copy = await cli('push', run, '--producer', 'tests', '--name', 'another', '--json');
  t.like(copy.json, { reused: false, uploaded: { objects: 0, bytes: 0 } });
  t.not(copy.json.package_id, first.json.package_id);
});

test('a directory that changed since is refused with the differences, or becomes a revision', async (t) => {
  const { run, cli } = await workplace(t);
  const external = unique('external');
  const args = ['push', run, '--producer', 'tests', '--external-id', external, '--json'];
  await writeTree(run, { stays: unique(), changes: unique(), goes: unique() });
  const first = await cli(...args);
  t.is(first.code, 0, first.stderr);

  await rm(join(run, 'goes'));
  await writeTree(run, { changes: unique('other'), comes: unique() });
  const refused = await cli(...args);
  t.is(refused.code, 4);
  t.like(refused.json.error, {
    code: 'package_differs',
    package_id: first.json.package_id,
    differences: {
      counts: { added: 1, removed: 1, changed: 1 },
      added: ['comes'],
      removed: ['goes'],
      changed: ['changes'],
    },
  });
  t.regex(refused.json.error.next, /--revision/);

  const revised = await cli(...args, '--revision');
  t.is(revised.code, 0, revised.stderr);
  t.like(revised.json, { reused: false, status: 'finalized', file_count: 3, uploaded: { objects: 1 } });
  t.not(revised.json.package_id, first.json.package_id);
  const shown = await cli('show', revised.json.package_id, '--json');
  t.is(shown.json.supersedes, first.json.package_id);
  t.like((await cli(...args, '--revision')).json, { reused: true, package_id: revised.json.package_id });

  const diff = await cli('diff', first.json.package_id, run, '--json');
  t.is(diff.code, 1);
  t.like(diff.json, { equal: false, added: ['comes'], removed: ['goes'], changed: ['changes'] });
});

test('--no-finalize leaves the package open; the same push again fills and finalizes it', async (t) => {
  const { run, cli } = await workplace(t);
  await writeTree(run, { a: unique(), b: unique() });
  const open = await cli('push', run, '--producer', 'tests', '--no-finalize', '--json');
  t.like(open.json, { status: 'uploading', manifest_digest: null, file_count: 2 }, open.stderr);
  await rm(join(run, 'a'));
  await writeTree(run, { b: unique('other'), c: unique() });
  const done = await cli('push', run, '--producer', 'tests', '--json');
  t.like(done.json, { status: 'finalized', package_id: open.json.package_id, file_count: 2 }, done.stderr);
  t.is((await cli('diff', done.json.package_id, run)).code, 0);
  const next = await cli('push', run, '--producer', 'tests', '--json');
  t.not(next.json.package_id, done.json.package_id, 'what is finished is not continued');
});

test('cat writes the bytes, and only them', async (t) => {
  const { run, cli } = await workplace(t);
  const bytes = createHash('sha512').update(unique()).digest();
  await writeTree(run, { 'a b/c.bin': bytes, empty: '' });
  const { json } = await cli('push', run, '--producer', 'tests', '--json');
  t.deepEqual((await cli('cat', json.package_id, 'a b/c.bin')).bytes, bytes);
  t.is((await cli('cat', json.package_id, 'empty')).bytes.length, 0);
  t.is((await cli('cat', json.package_id, 'not there')).code, 3);
  t.is((await cli('cat', json.package_id, 'empty', '--json')).code, 2);
});

test('--path pulls what matches: ** crosses folders, * does not', async (t) => {
  const { folder, run, cli } = await workplace(t);
  await writeTree(run, { 'a.json': unique(), 'x/b.json': unique(), 'x/y/c.json': unique(), 'x/y/d.txt': unique() });
  const { json } = await cli('push', run, '--producer', 'tests', '--json');
  const pull = async (glob: string, to: string) => {
    const pulled = await cli('pull', json.package_id, to, '--path', glob);
    t.is(pulled.code, 0, pulled.stderr);
    return Object.keys(await readTree(join(folder, to))).sort();
  };
  t.deepEqual(await pull('**/*.json', 'one'), ['a.json', 'x/b.json', 'x/y/c.json']);
  t.deepEqual(await pull('x/*', 'two'), ['x/b.json']);
  t.deepEqual(await pull('x/**', 'three'), ['x/b.json', 'x/y/c.json', 'x/y/d.txt']);
});

test('a path or glob that no file has: exit 3, similar names, and no folder is created', async (t) => {
  const { folder, run, cli } = await workplace(t);
  await writeTree(run, { 'logs/run.log': unique(), 'logs/deep/error.log': unique(), 'reports/report.html': unique() });
  const { json } = await cli('push', run, '--producer', 'tests', '--json');
  const id = json.package_id;
  const ask = async (glob: string) => {
    const refused = await cli('pull', id, 'made/copy', '--path', glob, '--json');
    t.is(refused.code, 3, refused.stdout);
    t.is(refused.json.error.code, 'file_not_found');
    t.is(refused.json.error.message, `No file of the package matches ${JSON.stringify(glob)}.`);
    t.false((await readdir(folder)).includes('made'));
    return refused.json.error as { near: string[]; next: string };
  };
  const slip = await ask('log/**');
  t.deepEqual(slip.near, ['logs/deep/error.log', 'logs/run.log']);
  t.is(
    slip.next,
    `Near it: "logs/deep/error.log", "logs/run.log". \`artifact-store manifest ${id} --format sha256sum\` lists every file.`,
  );
  t.regex((await ask('*.log')).next, /^In deeper folders, "\*\*\/\*\.log" does\. /);
  t.deepEqual((await ask('reports/raport.html')).near, ['reports/report.html']);
  t.deepEqual((await ask('quite/another/name')).near, []);

  const one = await cli('cat', id, 'report/report.html');
  t.is(one.code, 3);
  t.is(one.stdout, '');
  t.regex(one.stderr, /There is no file "report\/report\.html" in the package\.\nNear it: "reports\/report\.html"\./);
});

test('pull replaces nothing and writes through no symlink', async (t) => {
  const { folder, run, copy, cli } = await workplace(t);
  await writeTree(run, { 'x/a': unique(), z: unique() });
  const { json } = await cli('push', run, '--producer', 'tests', '--json');

  await writeTree(copy, { z: 'mine' });
  const over = await cli('pull', json.package_id, copy, '--json');
  t.is(over.code, 4);
  t.like(over.json.error, { code: 'file_differs', path: 'z' });
  t.deepEqual(Object.keys(await readTree(copy)), ['z'], 'refused before anything was written');
  t.is(await readFile(join(copy, 'z'), 'utf8'), 'mine');

  const outside = await writeTree(join(folder, 'outside'), {});
  await writeTree(folder, { 'outside/keep': '' });
  const linked = await writeTree(join(folder, 'linked'), { unrelated: '' });
  await symlink(outside, join(linked, 'x'));
  const through = await cli('pull', json.package_id, linked, '--json');
  t.is(through.code, 4);
  t.like(through.json.error, { code: 'file_refused', path: 'x/a' });
  t.deepEqual(Object.keys(await readTree(outside)), ['keep']);

  const dangling = await writeTree(join(folder, 'dangling'), { unrelated: '' });
  await symlink(join(folder, 'outside', 'new'), join(dangling, 'z'));
  t.is((await cli('pull', json.package_id, dangling)).code, 4);
  t.deepEqual(Object.keys(await readTree(outside)), ['keep']);
});

/** The stored object, loose blob or pack, in which this text stands. */
async function findObject(text: string): Promise<[path: string, bytes: Buffer]> {
  const objects = join(service.dataDir, 'blobs', 'objects');
  for (const entry of await readdir(objects, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const bytes = entry.isFile() ? await readFile(path) : Buffer.alloc(0);
    if (bytes.includes(text)) return [path, bytes];
  }
  throw new Error(`no object holds ${text}`);
}

test('damaged bytes: verify names each file, pull and cat end with 5', async (t) => {
  const { run, copy, cli } = await workplace(t);
  const bad = unique('goes bad');
  await writeTree(run, { bad, good: unique() });
  const { json } = await cli('push', run, '--producer', 'tests', '--compression', 'off', '--json');
  const [object, bytes] = await findObject(bad);
  await chmod(object, 0o600);
  await writeFile(object, Buffer.from(bytes.toString('latin1').replace('goes bad', 'went bad'), 'latin1'));

  const verified = await cli('verify', json.package_id, '--json');
  t.is(verified.code, 5, verified.stderr);
  t.like(verified.json, { ok: false, files: 2 });
  t.deepEqual(
    verified.json.failures.map((failure: { path: string }) => failure.path),
    ['bad'],
  );
  const pulled = await cli('pull', json.package_id, copy, '--json');
  t.is(pulled.code, 5);
  t.like(pulled.json.error, { code: 'integrity_failure', path: 'bad' });
  t.false(Object.keys(await readTree(copy)).includes('bad'));
  t.is((await cli('cat', json.package_id, 'bad')).code, 5);
});

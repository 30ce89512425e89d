import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { manifestKey } from '../../src/blobs/key-layout.ts';
import type { PackageId } from '../../src/core/ids.ts';
import { sha256 } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { flipBit, spoil } from '../support/fixity.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

async function place(t: ExecutionContext, tree: Record<string, string>) {
  const folder = await tempFolder(t);
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'cache') };
  const cli = (...args: string[]) => runCli(args, { env, cwd: folder });
  await writeTree(join(folder, 'run'), tree);
  const pushed = await cli('push', 'run', '--producer', 'tests', '--compression', 'off', '--json');
  t.is(pushed.code, 0, pushed.stderr);
  const id: string = pushed.json.package_id;
  const keyOf = async (content: string): Promise<string> =>
    (await service.services.registry.read.blobs.locate(sha256(content) as never))?.key ?? 'nowhere';
  return { folder, service, cli, id, keyOf };
}

const LARGE = 'a large file '.repeat(200_000);

test('fixity names what is damaged and how to mend it, with exit 5; repair mends it from files of any name', async (t) => {
  const { folder, service, cli, id, keyOf } = await place(t, { 'small.txt': 'small', 'sub/large.log': LARGE });
  const fine = await cli('fixity');
  t.is(fine.code, 0, fine.stderr);
  t.regex(
    fine.stdout,
    /^period +30 days, at up to 20 MB\/s by each service\nread within it +4 objects, .*\noverdue +nothing\n/,
  );
  t.regex(fine.stdout, /\ndamaged +nothing\n$/);
  t.is((await cli('fixity', '--now')).code, 0);
  await spoil(service, await keyOf(LARGE), (bytes) => flipBit(bytes, 12_345));

  const found = await cli('fixity', '--now', id);
  t.is(found.code, 5, found.stderr);
  t.regex(found.stdout, /^Fixity fix_\w+: 4 objects read, .*: 1 object damaged, 0 missing\.\n/);
  t.true(found.stdout.includes(`  ${id}  sub/large.log: its bytes are wrong; last seen good `), found.stdout);
  t.regex(found.stdout, /; no other copy\nTo mend them: `artifact-store repair DIR`/);
  const state = await cli('fixity', '--json');
  t.is(state.code, 5);
  t.is(state.json.damaged.items.length, 1);
  t.regex((await cli('doctor')).stdout, /Fixity checks found damage in one object\./);

  await mkdir(join(folder, 'elsewhere'));
  await writeFile(join(folder, 'elsewhere/other'), 'of somebody else');
  const useless = await cli('repair', 'elsewhere');
  t.is(useless.code, 3, useless.stdout);
  t.regex(useless.stdout, /none of them has bytes that are damaged or gone\.\n1 file still damaged:\n/);
  await rename(join(folder, 'run/sub/large.log'), join(folder, 'elsewhere/renamed'));
  const repaired = await cli('repair', 'elsewhere/other', 'elsewhere/renamed');
  t.is(repaired.code, 0, repaired.stderr);
  t.regex(repaired.stdout, /^2 files read, .*; 1 of them was needed, sent and verified \(2\.6 MB\)\.\n/);
  t.true(repaired.stdout.includes(`  ${id}  sub/large.log: mended\nEvery file has its bytes.\n`), repaired.stdout);
  t.is((await cli('fixity')).code, 0);
  const doctor = await cli('doctor');
  t.is(doctor.code, 0, doctor.stdout);
  t.regex(
    doctor.stdout,
    /note +Fixity checks found damage in one object, and everything that was in them has a good copy\./,
  );
  t.is((await cli('fixity', '--now', id)).code, 0);
  t.is((await cli('verify', id)).code, 0);
  const nothing = await cli('repair', 'elsewhere', '--json');
  t.is(nothing.code, 0);
  t.like(nothing.json, { sent: { objects: 0 }, mended: [] });
});

test('what fixity has found keeps nobody from the other files, and whoever pushes it again is told', async (t) => {
  const small = Array.from({ length: 3 }, (_, n) => [`s${n}`, `small ${n} `.repeat(2_000)] as const);
  const { folder, service, cli, id, keyOf } = await place(t, { ...Object.fromEntries(small), 'large.log': LARGE });
  const [, bad] = small[1] as [string, string];
  const { offset = 0 } = (await service.services.registry.read.blobs.locate(sha256(bad) as never)) ?? {};
  await spoil(service, await keyOf(bad), (bytes) => flipBit(bytes, (offset + 100) * 8));
  t.is((await cli('fixity', '--now', id)).code, 5);

  const pulled = await cli('pull', id, 'copy', '--json');
  t.is(pulled.code, 5, pulled.stderr);
  t.like(pulled.json.error, { code: 'integrity_failure', path: 's1', files: 3 });
  t.deepEqual(
    pulled.json.error.failures.map(({ path }: { path: string }) => path),
    ['s1'],
  );
  t.regex(pulled.json.error.next, /^Every other file was written\. .*`artifact-store repair DIR`/);
  t.deepEqual((await readdir(join(folder, 'copy'))).filter((name) => !name.startsWith('.')).toSorted(), [
    'large.log',
    's0',
    's2',
  ]);
  const verified = await cli('verify', id);
  t.is(verified.code, 5);
  t.regex(
    verified.stdout,
    /^"s1" is damaged or gone in the store, and there is no other copy\.\n.*4 files, .* read; 1 file wrong or missing\.\nTo mend them: `artifact-store repair DIR`/,
  );
  t.is((await cli('cat', id, 's1')).code, 5);
  t.is((await cli('cat', id, 's0')).stdout, small[0]?.[1] ?? '');

  const again = await cli('push', 'run', '--producer', 'tests', '--resume', id);
  t.is(again.code, 5);
  const named = await cli('push', 'run', '--producer', 'tests', '--external-id', 'named', '--compression', 'off');
  t.is(named.code, 0, named.stderr);
  t.is((await cli('verify', id)).code, 0, 'another package with the bytes mends it');
});

test('a push of a finalized package whose bytes are lost says so, and keeps its word when they are back', async (t) => {
  const folder = await tempFolder(t);
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const cli = (...args: string[]) => runCli(args, { env: { ARTIFACT_STORE_URL: service.url }, cwd: folder });
  await writeTree(join(folder, 'run'), { a: 'the only copy', b: LARGE });
  const push = () => cli('push', 'run', '--producer', 'tests', '--external-id', 'x', '--compression', 'off');
  t.is((await push()).code, 0);
  const { key = '' } = (await service.services.registry.read.blobs.locate(sha256(LARGE) as never)) ?? {};
  await spoil(service, key, (bytes) => flipBit(bytes, 12_345));
  t.is((await cli('fixity', '--now', 'x')).code, 5);
  const told = await push();
  t.is(told.code, 5, told.stdout);
  t.regex(told.stderr, /has these files, but the store has lost the bytes of "b": /);
  t.regex(told.stderr, /Keep this directory\. To mend them: `artifact-store repair DIR`/);
  t.is((await cli('repair', 'run')).code, 0);
  const fine = await push();
  t.is(fine.code, 0);
  t.regex(fine.stdout, /^Already preserved, byte for byte/);
});

test('a damaged manifest is told, and repair --manifests writes it again', async (t) => {
  const { service, cli, id } = await place(t, { 'a.txt': 'of a manifest' });
  await spoil(service, manifestKey(id as PackageId), (bytes) => flipBit(bytes, 99));
  const found = await cli('fixity', '--now', '--sample', '100%');
  t.is(found.code, 5);
  t.regex(
    found.stdout,
    /its manifest: its bytes are wrong;.*\nTo mend manifests and attestations: `artifact-store repair --manifests`/,
  );
  const repaired = await cli('repair', '--manifests');
  t.is(repaired.code, 0, repaired.stdout);
  t.true(repaired.stdout.includes(`${id}  its manifest: mended\nEvery file has its bytes.\n`), repaired.stdout);
  t.is((await cli('verify', id)).code, 0);
});

test('what fixity and repair refuse', async (t) => {
  const { cli } = await place(t, { 'a.txt': 'a' });
  for (const args of [
    ['fixity', '--sample', '1%'],
    ['fixity', 'some-package'],
    ['fixity', '--now', '--sample', '0'],
    ['fixity', '--now', '--sample', '101%'],
    ['fixity', '--now', 'some-package', '--sample', '1%'],
    ['repair'],
  ])
    t.is((await cli(...args)).code, 2, args.join(' '));
  t.is((await cli('fixity', '--now', 'some-package')).code, 3);
  t.regex((await cli('repair', 'not-there')).stderr, /"not-there" cannot be read/);
});

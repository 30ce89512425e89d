import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runCli } from '../support/cli-child.ts';
import { type FakeFile, startFakeStore } from '../support/fake-store.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

async function pull(t: ExecutionContext, files: FakeFile[], options?: Parameters<typeof startFakeStore>[1]) {
  const folder = await tempFolder(t);
  const store = await startFakeStore(files, options);
  t.teardown(() => store.close());
  const env = { ARTIFACT_STORE_URL: store.url };
  const result = await runCli(['pull', store.packageId, 'into/copy', '--json'], { env, cwd: folder });
  return { result, folder };
}

for (const finalized of [true, false]) {
  const where = finalized ? 'a manifest' : 'a list of files';
  test(`paths that lead out, in ${where}, write nothing anywhere`, async (t) => {
    for (const path of ['../x', '../../x', '/tmp/x', 'a/../../x', 'a//x', './x', 'a/..', '', 'a\u0000b', 'a/\nb']) {
      const { result, folder } = await pull(
        t,
        [
          { path: 'fine', bytes: 'F' },
          { path, bytes: 'X' },
        ],
        { finalized },
      );
      t.is(result.code, 4, `${JSON.stringify(path)}: ${result.stderr}`);
      t.is(result.json.error.code, 'invalid_path');
      t.deepEqual(await readTree(folder), {}, path);
    }
  });
}

test('other bytes, fewer, or more than claimed: exit 5, and no file of that name', async (t) => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const lies: FakeFile[] = [
    { path: 'lie', bytes: 'L', digest },
    { path: 'lie', bytes: 'longer than claimed', size: 3 },
    { path: 'lie', bytes: 'L', digest: 'sha256:XYZ' },
  ];
  for (const lie of lies) {
    const { result, folder } = await pull(t, [lie]);
    t.is(result.code, 5, result.stdout);
    t.like(result.json.error, { code: 'integrity_failure', path: 'lie' });
    t.deepEqual(await readdir(join(folder, 'into', 'copy')).catch(() => []), [], 'not even a temporary file stays');
  }
});

test('a manifest that is not the one that seals the package ends with 5', async (t) => {
  const { result } = await pull(t, [{ path: 'f', bytes: 'F' }], {
    finalized: true,
    manifestDigest: `sha256:${'1'.repeat(64)}`,
  });
  t.is(result.code, 5, result.stdout);
  t.regex(result.json.error.message, /manifest/);
});

test('one path twice, or a file under a file: exit 5', async (t) => {
  for (const paths of [
    ['same', 'same'],
    ['a', 'a/b'],
  ]) {
    const { result, folder } = await pull(
      t,
      paths.map((path) => ({ path, bytes: 'B' })),
    );
    t.is(result.code, 5, result.stdout);
    t.deepEqual(await readTree(folder), {});
  }
});

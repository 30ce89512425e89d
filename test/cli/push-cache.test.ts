import { randomBytes } from 'node:crypto';
import { appendFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { FileCache } from '../../cli/client/tree/file-cache.ts';
import { walk } from '../../cli/client/tree/walk.ts';
import { type Digest, digestOf, digestToBytes } from '../../src/core/digest.ts';
import { runCli } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const MIB = 1024 ** 2;
const LIMITS = { single_part_max: 6 * MIB, part_size: 5 * MIB };
const service = await startTestService({ limits: LIMITS });
test.after.always(() => service.dispose());

let made = 0;
async function workplace(t: ExecutionContext) {
  const folder = await tempFolder(t);
  const env = { XDG_CACHE_HOME: join(folder, 'cache') };
  made += 1;
  const mark = made;
  const run = await writeTree(join(folder, 'run'), {
    empty: '',
    small: `small ${mark}`,
    'folder/also small': `also ${mark}`,
    'two parts': Buffer.alloc(8 * MIB, `large ${mark}`),
  });
  const push = (url: string, ...args: string[]) =>
    runCli(['push', run, '--producer', 'tests', '--json', ...args], {
      env: { ...env, ARTIFACT_STORE_URL: url },
      cwd: folder,
    });
  return { run, env, push, mark };
}

/** What is younger is not remembered. */
async function untilOldEnough(run: string): Promise<void> {
  const { ctimeMs } = await stat(join(run, 'two parts'));
  while (Date.now() <= ctimeMs + 2_100) await sleep(100);
}

async function digestsOf(packageId: string): Promise<Record<string, string>> {
  const response = await fetch(`${service.url}/v1/packages/${packageId}/manifest`);
  const { files } = (await response.json()) as { files: Array<{ path: string; sha256: string }> };
  return Object.fromEntries(files.map(({ path, sha256 }) => [path, `sha256:${sha256}`]));
}

test('an unchanged directory is not read again, unless with --rehash', async (t) => {
  const { run, push, mark } = await workplace(t);
  await untilOldEnough(run);
  const first = await push(service.url, '--external-id', `first ${mark}`);
  t.is(first.code, 0, first.stderr);
  t.is(first.json.read.files, 3, 'the empty file need not be read');
  t.true(first.json.read.bytes > 8 * MIB);

  const again = await push(service.url, '--name', 'again');
  t.like(again.json, { reused: false, read: { files: 0, bytes: 0 }, uploaded: { objects: 0, bytes: 0 } });
  t.deepEqual(await digestsOf(again.json.package_id), await digestsOf(first.json.package_id));
  const compared = await push(service.url, '--external-id', `first ${mark}`);
  t.like(compared.json, { reused: true, read: { files: 0, bytes: 0 } });
  const rehashed = await push(service.url, '--name', 'rehashed', '--rehash');
  t.like(rehashed.json, { status: 'finalized', read: { files: 3 }, uploaded: { objects: 0, bytes: 0 } });

  await appendFile(join(run, 'small'), ' changed');
  const changed = await push(service.url, '--name', 'changed');
  t.like(changed.json, { read: { files: 1 }, uploaded: { objects: 1 } });
  t.like(await digestsOf(changed.json.package_id), { small: digestOf(`small ${mark} changed`) });
});

test('what is remembered but missing in another service is read and sent', async (t) => {
  const other = await startTestService({ limits: { ...LIMITS, single_part_max: 7 * MIB, part_size: 6 * MIB } });
  t.teardown(() => other.dispose());
  const { run, push } = await workplace(t);
  await untilOldEnough(run);
  t.is((await push(service.url)).code, 0);
  const elsewhere = await push(other.url);
  t.is(elsewhere.code, 0, elsewhere.stderr + elsewhere.stdout);
  t.like(elsewhere.json, { status: 'finalized', read: { files: 3 }, uploaded: { objects: 2 } });
});

/** Makes the cache believe something of a file. */
async function lie(env: Record<string, string>, run: string, path: string, digest: Digest): Promise<void> {
  const files = await walk(run, { symlinks: 'refuse', special: 'refuse', signal: new AbortController().signal });
  const index = files.indexOf(path);
  files.setDigest(index, digestToBytes(digest), null);
  files.setSecrets(index, []);
  const cache = await FileCache.open({ env });
  cache.save(files, [index], Date.now() + 60_000);
  cache.close();
}

test('a cache that is wrong about a small file does no harm: the bytes that are sent decide', async (t) => {
  const { run, env, push, mark } = await workplace(t);
  await lie(env, run, 'small', digestOf(`never ${mark}`));
  const pushed = await push(service.url);
  t.is(pushed.code, 0, pushed.stderr + pushed.stdout);
  t.like(await digestsOf(pushed.json.package_id), {
    small: digestOf(`small ${mark}`),
    'folder/also small': digestOf(`also ${mark}`),
  });
});

test('a cache that is wrong about a large file that is compressed does no harm: it is read for that', async (t) => {
  const { run, env, push, mark } = await workplace(t);
  const content = Buffer.alloc(2 * MIB, `one ${mark}`);
  await writeTree(run, { 'one part': content });
  await lie(env, run, 'one part', digestOf(`never ${mark}`));
  const pushed = await push(service.url);
  t.is(pushed.code, 0, pushed.stderr + pushed.stdout);
  t.like(await digestsOf(pushed.json.package_id), { 'one part': digestOf(content) });
});

test('a cache that is wrong about a large file stops the push, and --rehash solves it', async (t) => {
  const { run, env, push, mark } = await workplace(t);
  await writeTree(run, { 'one part': randomBytes(2 * MIB) });
  await lie(env, run, 'one part', digestOf(`never ${mark}`));
  const stopped = await push(service.url);
  t.is(stopped.code, 1, stopped.stdout);
  t.like(stopped.json.error, { code: 'file_changed', path: 'one part' });
  t.regex(stopped.json.error.next, /--rehash/);
  const rehashed = await push(service.url, '--rehash');
  t.is(rehashed.code, 0, rehashed.stderr + rehashed.stdout);
  t.is(rehashed.json.file_count, 5);
});

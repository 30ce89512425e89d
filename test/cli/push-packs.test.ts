import { mkdirSync, writeFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runCli } from '../support/cli-child.ts';
import { isCommit, isPart, type Relay, type RelayedRequest, startRelay } from '../support/relay.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

const MEMBERS = 10;
// Small packs, so that there are several of them; small calls, so that a pack is registered in several.
const LIMITS = { pack_members_max: MEMBERS, pack_member_max: 4_096, files_per_call: 4 };
const service = await startTestService({ limits: LIMITS });
test.after.always(() => service.dispose());

async function workplace(t: ExecutionContext) {
  const folder = await tempFolder(t);
  const relay = await startRelay(service.url);
  t.teardown(() => relay.close());
  const env = { ARTIFACT_STORE_URL: relay.url, XDG_CACHE_HOME: join(folder, 'cache') };
  const cli = (...args: string[]) => runCli(args, { env, cwd: folder });
  const run = join(folder, 'run');
  // Bytes on the wire are counted.
  const push = (...args: string[]) =>
    cli('push', run, '--producer', 'tests', '--compression', 'off', '--json', ...args);
  return { folder, relay, run, push, cli };
}

let made = 0;
/** Files that no other test has. */
function tree(count: number): Record<string, string> {
  made += 1;
  const mark = `${process.pid}-${made}`;
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`file ${String(index).padStart(4, '0')}`, `${mark} ${index}`]),
  );
}

test('small files are sent in packs, each digest once, and come back byte for byte', async (t) => {
  const { folder, relay, run, push, cli } = await workplace(t);
  // Nothing is committed before everything is registered: no file is `stored` only because it was just sent.
  let calls = 0;
  const registered = Promise.withResolvers<void>();
  relay.before = async (request) => {
    if (request.method === 'POST' && request.url.endsWith('/files')) calls += 1;
    if (calls === 12) registered.resolve();
    if (isCommit(request)) await registered.promise;
    return 'pass';
  };
  const files = tree(35);
  const [same] = Object.values(files);
  // Twice in one pack, and in one that is sent long after the first.
  await writeTree(run, { ...files, 'file 0000 again': same ?? '', 'zz last': same ?? '', large: 'L'.repeat(5_000) });
  const pushed = await push();
  t.is(pushed.code, 0, pushed.stderr + pushed.stdout);
  t.is(pushed.json.uploaded.objects, 5, 'four packs, and a file that is too large for one');
  t.is(pushed.json.uploaded.bytes, 35 * 1_024 + 4 * 1_024 + 5_000);
  const copy = join(folder, 'copy');
  const pulled = await cli('pull', pushed.json.package_id, copy);
  t.is(pulled.code, 0, pulled.stderr);
  t.deepEqual(await readTree(copy), await readTree(run));
});

test('blobs that another package has are left out of packs', async (t) => {
  const { run, push } = await workplace(t);
  const files = tree(30);
  const entries = Object.entries(files);
  await writeTree(run, Object.fromEntries(entries.filter((_, index) => index % 3 === 0)));
  t.is((await push('--name', 'some')).code, 0);
  await writeTree(run, files);
  const more = await push('--name', 'all');
  t.is(more.code, 0, more.stderr + more.stdout);
  t.is(more.json.uploaded.objects, 3);
  t.is(more.json.read.files, 30);
  // A header and a block for each of the 20 that were new, and an end for each pack.
  t.is(more.json.uploaded.bytes, 20 * 1_024 + 3 * 1_024);
});

test('a single new file is sent without a frame', async (t) => {
  const { run, push } = await workplace(t);
  await writeTree(run, tree(20));
  t.is((await push('--name', 'before')).code, 0);
  await writeTree(run, { 'file 0013': `alone ${made}` });
  const pushed = await push('--name', 'after');
  t.like(pushed.json.uploaded, { objects: 1, bytes: `alone ${made}`.length });
});

/** At the first request that fits. */
function once(relay: Relay, fits: (request: RelayedRequest) => boolean, act: () => Promise<void>): void {
  let acted = false;
  relay.before = async (request) => {
    if (!acted && fits(request)) {
      acted = true;
      await act();
    }
    return 'pass';
  };
}

test('a file that changes after it was packed stops the push; nothing is finalized, and the push can continue', async (t) => {
  const { relay, run, push } = await workplace(t);
  await writeTree(run, tree(40));
  once(relay, isPart, () => appendFile(join(run, 'file 0002'), ' more'));
  const stopped = await push();
  t.is(stopped.code, 1, stopped.stdout);
  t.like(stopped.json.error, { code: 'file_changed', path: 'file 0002' });
  t.false(relay.seen.some(({ url }) => url.endsWith('/finalize')));
  const done = await push();
  t.is(done.code, 0, done.stderr + done.stdout);
  t.is(done.json.uploaded.objects, 1, 'what was sent is not sent again');
  const manifest = await fetch(`${service.url}/v1/packages/${done.json.package_id}/manifest?format=sha256sum`);
  const expected = (await readTree(run))['file 0002'];
  t.true((await manifest.text()).includes(`${expected}  file 0002`));
});

test('a push that another one seals compares with what it sealed', async (t) => {
  const { folder, relay, run, push } = await workplace(t);
  await writeTree(run, tree(30));
  const args = ['--external-id', `sealed ${made}`];
  once(relay, isPart, async () => {
    const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'other') };
    const other = await runCli(['push', run, '--producer', 'tests', '--json', ...args], { env, cwd: folder });
    t.is(other.code, 0, other.stderr + other.stdout);
  });
  const pushed = await push(...args);
  t.is(pushed.code, 0, pushed.stderr + pushed.stdout);
  t.is(pushed.json.status, 'finalized');
});

test('twenty thousand tiny files need little memory', async (t) => {
  const { folder, run } = await workplace(t);
  const many = join(run, 'many');
  for (let group = 0; group < 20; group += 1) {
    mkdirSync(join(many, String(group)), { recursive: true });
    for (let index = 0; index < 1_000; index += 1) {
      writeFileSync(join(many, String(group), `file ${index}`), `${folder} ${group} ${index}`);
    }
  }
  const tiny = await startTestService();
  t.teardown(() => tiny.dispose());
  const watch = join(folder, 'memory.cjs');
  // The high-water mark of the whole process, written where it ends.
  await writeTree(folder, {
    'memory.cjs': `process.on('exit', () => require('node:fs').writeSync(2, 'peak ' + process.resourceUsage().maxRSS));`,
  });
  const env = {
    ARTIFACT_STORE_URL: tiny.url,
    XDG_CACHE_HOME: join(folder, 'cache'),
    NODE_OPTIONS: `--require ${JSON.stringify(watch)}`,
  };
  const pushed = await runCli(['push', run, '--producer', 'tests', '--json', '--quiet'], { env, cwd: folder });
  t.is(pushed.code, 0, pushed.stderr);
  t.is(pushed.json.file_count, 20_000);
  const peak = Math.max(...Array.from(pushed.stderr.matchAll(/peak (\d+)/g), ([, kib]) => Number(kib)));
  t.true(peak > 0 && peak < 300 * 1_024, `${peak} KiB`);
  t.log(`${Math.round(peak / 1_024)} MiB`);
});

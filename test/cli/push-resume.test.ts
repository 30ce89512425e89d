import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runCli } from '../support/cli-child.ts';
import { isCommit, isPart, type Relay, type RelayedRequest, startRelay } from '../support/relay.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

/** One object each: which files would share a pack depends on which ones the cache knows, and so on how long ago they were written. */
const FILES = 20;

async function bench(
  t: ExecutionContext,
  filesPerPack = 1,
): Promise<{
  relay: Relay;
  push: (args?: string[], onSpawn?: (child: ChildProcess) => void) => ReturnType<typeof runCli>;
}> {
  const folder = await tempFolder(t);
  const service = await startTestService({ limits: { pack_members_max: filesPerPack } });
  const relay = await startRelay(service.url);
  t.teardown(async () => {
    await relay.close();
    await service.dispose();
  });
  const run = await writeTree(
    join(folder, 'run'),
    Object.fromEntries(Array.from({ length: FILES }, (_, index) => [`file ${index}`, `content ${index}`])),
  );
  const env = { ARTIFACT_STORE_URL: relay.url, XDG_CACHE_HOME: join(folder, 'cache') };
  return {
    relay,
    push: (args = [], onSpawn) =>
      runCli(['push', run, '--producer', 'tests', '--json', '--parallel', '2', ...args], { env, cwd: folder, onSpawn }),
  };
}

/**
 * Passes `count` commits on, and at the next one, when the service has answered those, does what it is told, leaving the request
 * without an answer.
 */
function stopAtCommit(relay: Relay, count: number, act: () => void): void {
  let [came, answered] = [0, 0];
  const actWhenAnswered = (): void => {
    if (came > count && answered === count) act();
  };
  relay.before = async (request) => {
    if (!isCommit(request)) return 'pass';
    came += 1;
    if (came <= count) {
      const ended = (): void => {
        answered += 1;
        actWhenAnswered();
      };
      return { to: relay.target, ended };
    }
    if (came === count + 1) actWhenAnswered();
    return new Promise<never>(() => {});
  };
}

for (const [how, args] of [
  ['with an external id', ['--external-id', 'run-1']],
  ['without one', []],
] as const) {
  test(`a push that was killed continues where it stopped, ${how}`, async (t) => {
    const { relay, push } = await bench(t);
    let child: ChildProcess | undefined;
    stopAtCommit(relay, 8, () => child?.kill('SIGKILL'));
    const killed = await push([...args], (process) => {
      child = process;
    });
    t.is(killed.signal, 'SIGKILL');
    const partsBefore = relay.seen.filter(isPart).length;
    t.true(partsBefore >= 9 && partsBefore < FILES, `${partsBefore} parts were sent before`);

    relay.seen.length = 0;
    relay.before = async () => 'pass';
    const done = await push([...args]);
    t.is(done.code, 0, done.stderr + done.stdout);
    t.like(done.json, { status: 'finalized', file_count: FILES, reused: false });
    t.true(relay.seen.filter(isPart).length <= FILES - 8, 'what is committed is not sent again');
    t.true(relay.seen.filter(isCommit).length <= FILES - 8);
  });
}

for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
  test(`${signal} ends with ${code} and says how to continue; what was sent is kept`, async (t) => {
    const { relay, push } = await bench(t);
    let child: ChildProcess | undefined;
    stopAtCommit(relay, 5, () => child?.kill(signal));
    const stopped = await push([], (process) => {
      child = process;
    });
    t.is(stopped.code, code, stopped.stderr);
    t.like(stopped.json.error, {
      code: 'interrupted',
      exit: code,
      next: 'Run the same command again: it continues where it stopped.',
    });
    relay.before = async () => 'pass';
    const done = await push();
    t.is(done.code, 0, done.stderr);
    t.true(done.json.uploaded.objects <= FILES - 5);
  });
}

/** Fails the first request of each kind once. */
function failOnce(relay: Relay, failures: Array<[(request: RelayedRequest) => boolean, 'drop' | number]>): void {
  const left = [...failures];
  relay.before = async (request) => {
    const index = left.findIndex(([applies]) => applies(request));
    const found = index === -1 ? undefined : left.splice(index, 1)[0];
    return found === undefined ? 'pass' : found[1];
  };
}

test('a push survives lost connections, 429, 503 and 403 in the middle', async (t) => {
  const { relay, push } = await bench(t);
  const posts = (end: string) => (request: RelayedRequest) => request.method === 'POST' && request.url.endsWith(end);
  failOnce(relay, [
    [posts('/files'), 'drop'],
    [posts('/uploads'), 503],
    [isPart, 'drop'],
    [isPart, 403],
    [isPart, 429],
    [isPart, 500],
    [isCommit, 'drop'],
    [posts('/finalize'), 'drop'],
  ]);
  const pushed = await push(['--external-id', 'rough']);
  t.is(pushed.code, 0, pushed.stderr + pushed.stdout);
  t.like(pushed.json, { status: 'finalized', file_count: FILES });
  t.is(pushed.json.uploaded.objects, FILES);
  t.true(
    relay.seen.some(({ url }) => url.endsWith('/urls')),
    'a 403 asks for fresh URLs',
  );
});

test('storage that cannot be reached is reported with its address and what was to be sent', async (t) => {
  const { relay, push } = await bench(t, 2);
  relay.before = async (request) => (isPart(request) ? 'drop' : 'pass');
  const pushed = await push();
  t.is(pushed.code, 6, pushed.stdout);
  t.like(pushed.json.error, { code: 'unreachable', url: relay.url });
  t.regex(pushed.json.error.message, /Cannot send a pack of 2 files to the storage at http/);
  relay.before = async () => 'pass';
  t.is((await push()).code, 0);
});

test('an upload that the service abandoned is planned again', async (t) => {
  const { relay, push } = await bench(t);
  let aborted = '';
  relay.before = async (request) => {
    if (isPart(request) && aborted === '') {
      aborted = /^\/v1\/uploads\/([^/]+)\//.exec(request.url)?.[1] ?? '';
      await fetch(`${relay.target}/v1/uploads/${aborted}`, { method: 'DELETE' });
    }
    return 'pass';
  };
  const pushed = await push();
  t.is(pushed.code, 0, pushed.stderr + pushed.stdout);
  t.not(aborted, '');
  t.is(pushed.json.uploaded.objects, FILES);
});

test('creating a package without an external id is not retried: it could create two', async (t) => {
  const { relay, push } = await bench(t);
  const creates = ({ method, url }: RelayedRequest) => method === 'POST' && url === '/v1/packages';
  failOnce(relay, [[creates, 'drop']]);
  const pushed = await push();
  t.is(pushed.code, 6);
  t.is(relay.seen.filter(creates).length, 1);
  failOnce(relay, [[creates, 'drop']]);
  t.is((await push(['--external-id', 'once'])).code, 0);
});

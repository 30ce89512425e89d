import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ServiceOverrides } from '../../src/server.ts';
import { runCli } from '../support/cli-child.ts';
import { recordingFileLayer } from '../support/recording-file-layer.ts';
import { isCommit, isPart, type RelayedRequest, startRelay } from '../support/relay.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const MIB = 1024 ** 2;
const LIMITS = { single_part_max: 6 * MIB, part_size: 5 * MIB };
const isFinalize = ({ method, url }: RelayedRequest) => method === 'POST' && url.endsWith('/finalize');

/** A service behind a relay, and a push of one file of five parts and two small ones. */
async function bench(t: ExecutionContext, overrides: ServiceOverrides = {}) {
  const service = await startTestService({ limits: LIMITS, ...overrides });
  const relay = await startRelay(service.url);
  t.teardown(async () => {
    await relay.close();
    await service.dispose();
  });
  const folder = await tempFolder(t);
  const run = await writeTree(join(folder, 'run'), { large: randomBytes(25 * MIB), a: 'A', b: 'B' });
  const env = { ARTIFACT_STORE_URL: relay.url, XDG_CACHE_HOME: join(folder, 'cache') };
  let notes = '';
  const heard = new EventEmitter();
  return {
    relay,
    push: (args: string[], onSpawn: (child: ChildProcess) => void = () => {}) => {
      notes = '';
      return runCli(['push', run, '--producer', 'tests', '--parallel', '1', ...args], {
        env,
        onSpawn: (child) => {
          child.stderr?.on('data', (text) => {
            notes += text;
            heard.emit('note');
          });
          onSpawn(child);
        },
      });
    },
    /** Ends when the push has said so on stderr. */
    said: async (what: RegExp): Promise<void> => {
      while (!what.test(notes)) await once(heard, 'note');
    },
  };
}

test('a resumed push: what was sent before counts at once, and commit and finalize have their own words', async (t) => {
  const { relay, push, said } = await bench(t);
  let child: ChildProcess | undefined;
  let parts = 0;
  relay.before = async (request) => {
    // When two or three parts of the large file have arrived; the small ones are a part too.
    if (isPart(request) && ++parts === 4) child?.kill('SIGKILL');
    return 'pass';
  };
  const killed = await push([], (process) => {
    child = process;
  });
  t.is(killed.signal, 'SIGKILL');

  const sending = /^sending █+░+ {2}\d\/3 files {2}(1\d|2[01]) MB of 26 MB/m;
  const committing = /^committing █{24} {2}\d\/3 files {2}26 MB {2}\d+\.\d s$/m;
  const finalizing = /^finalizing █{24} {2}3\/3 files {2}26 MB {2}\d+\.\d s$/m;
  relay.before = async (request) => {
    if (isPart(request)) await said(sending);
    if (isCommit(request)) await said(committing);
    if (isFinalize(request)) await said(finalizing);
    return 'pass';
  };
  const done = await push([]);
  t.is(done.code, 0, done.stderr);
  for (const line of [sending, committing, finalizing]) t.regex(done.stderr, line);
  t.notRegex(done.stderr, /^(committing|finalizing) .* left$/m);
});

test('while the service reads the bytes back the push reports that it verifies', async (t) => {
  let told: (() => Promise<void>) | undefined;
  const { files } = recordingFileLayer(async ({ name, to }) => {
    if (name === 'link' && to?.includes('/objects/sha256/')) await told?.();
  });
  const { push, said } = await bench(t, { files, commitPatience: 500 });
  told = () => said(/^verifying █{24} {2}\d\/3 files {2}26 MB {2}\d+\.\d s$/m);
  const done = await push([]);
  t.is(done.code, 0, done.stderr);
  // Not that it said “committing” before: another object may be verified when the last byte arrives.
  t.regex(done.stderr, /^verifying /m);
});

test('push --json reports its progress on stderr now and then, and nothing with --quiet', async (t) => {
  const { relay, push, said } = await bench(t);
  relay.before = async (request) => {
    if (isFinalize(request)) await said(/^finalizing █{24} {2}3\/3 files/m);
    return 'pass';
  };
  const done = await push(['--json']);
  t.is(done.code, 0, done.stderr);
  t.is(done.json.status, 'finalized');
  relay.before = async () => 'pass';
  t.is((await push(['--json', '--quiet', '--name', 'quiet'])).stderr, '');
});

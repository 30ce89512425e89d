import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { open, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { VERBS } from '../../cli/commands/index.ts';
import { fileSink } from '../../cli/sink.ts';
import { openDataFolder } from '../../src/blobs/data-folder.ts';
import { apiOf } from '../support/api.ts';
import { bagFiles, writeBag } from '../support/bags.ts';
import { type CliOptions, runCli } from '../support/cli-child.ts';
import { BIN } from '../support/command.ts';
import { sampled } from '../support/long.ts';
import { processEnv } from '../support/process-env.ts';
import { startReceiver } from '../support/receiver.ts';
import { startRelay } from '../support/relay.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const MIB = 1024 ** 2;
const LARGE = randomBytes(32 * MIB);

/** A JWT: `{"alg":"RS256"}`, `{}`, and a signature. */
const NO_ISSUER = 'eyJhbGciOiJSUzI1NiJ9.e30.AA';

const service = await startTestService({ env: { ARTIFACT_STORE_WEBHOOK_ALLOW: '127.0.0.1' } });
const hub = await startReceiver();
const { url } = service;
const api = apiOf(url);
const id = await api.preserve({ 'a.txt': 'abc', large: LARGE }, { external_id: 'one' });
test.after.always(async () => {
  await service.dispose();
  await hub.close();
});

async function hook(): Promise<string> {
  return (await api.post('/v1/webhooks', { url: hub.url, types: ['hold.placed'] })).body.id;
}

/** A directory to push, and an environment. */
async function bench(t: ExecutionContext) {
  const folder = await tempFolder(t);
  const run = await writeTree(join(folder, 'run'), { 'a.txt': 'abc' });
  return { folder, run, env: { ARTIFACT_STORE_URL: url, XDG_CACHE_HOME: join(folder, 'cache') } };
}

async function full(t: ExecutionContext): Promise<number> {
  const handle = await open('/dev/full', 'w');
  t.teardown(() => handle.close());
  return handle.fd;
}

test('a verb whose stdout cannot be written ends with exit 1 and the reason', async (t) => {
  const { folder, run, env } = await bench(t);
  const bag = await writeBag(join(folder, 'bag'), bagFiles());
  const reason = ['--reason', 'a test'];
  const migrated = await openDataFolder(join(folder, 'migrated'));
  await migrated.close();
  const identities = join(folder, 'identities.json');
  await writeFile(identities, '{"issuers": []}');
  const event = (await api.get('/v1/audit?limit=1')).body.items[0].id;
  const share = await api.post(`/v1/packages/${id}/shares`, {});
  // A token closes the service of the other verbs: these have folders of their own.
  const some = ['--name', 'n', '--scope', 'operator'];
  const token = await runCli(['token', 'create', ...some, '--local', '--data-dir', join(folder, 'tokens'), '--json']);
  const lines: string[][] = [
    ['push', run, '--producer', 'tests'],
    ['ingest', 'guide-board', 'fixtures/guide-board/run-20260513T210255Z'],
    ['ingest', 'bagit', bag, '--producer', 'tests'],
    ['pull', id, join(folder, 'copy'), '--path', 'a.txt'],
    ['export', id, '--bundle', join(folder, 'run.tar')],
    ['ls'],
    ['show', id],
    ['find', 'a.txt'],
    ['manifest', id],
    ['cat', id, 'large'],
    ['link', id],
    ['share', 'create', id],
    ['share', 'ls', id],
    ['share', 'revoke', share.body.id],
    ['diff', id, run],
    ['verify', id],
    ['retention', id],
    ['extend', id, '--days', '1', ...reason],
    ['hold', id, ...reason],
    ['release', id, ...reason],
    ['eligible'],
    ['rm', await api.create(), ...reason],
    ['sweep'],
    ['fixity'],
    ['repair', run],
    ['rebuild', '--compare', '--data-dir', migrated.dir],
    ['quota'],
    ['keys', 'ls'],
    ['keys', 'rotate'],
    ['keys', 'export'],
    ['token', 'create', ...some, '--local', '--data-dir', join(folder, 'another')],
    ['token', 'ls'],
    ['token', 'revoke', token.json.id, '--local', '--data-dir', join(folder, 'tokens')],
    ['webhook', 'add', hub.url],
    ['webhook', 'ls'],
    ['webhook', 'rm', await hook()],
    ['webhook', 'test', await hook()],
    ['webhook', 'rotate', await hook()],
    ['webhook', 'deliveries', await hook()],
    ['webhook', 'replay', await hook()],
    ['audit', 'verify'],
    ['audit', 'checkpoint'],
    ['audit', 'prove', event],
    ['token', 'explain', NO_ISSUER, '--identities', identities],
    ['doctor'],
    ['install-check', '--port', '0', '--data-dir', join(folder, 'checked')],
    ['migrate', '--data-dir', migrated.dir],
    ['completion', 'bash'],
    ['serve', '--port', '0', '--data-dir', join(folder, 'served'), '--json'],
  ];
  const nameOf = (line: string[]) =>
    VERBS.find(({ name }) => line.slice(0, name.split(' ').length).join(' ') === name)?.name;
  t.deepEqual(lines.map(nameOf).sort(), VERBS.map(({ name }) => name).sort(), 'every verb is tried');
  const options: CliOptions = { env, stdout: await full(t) };
  for (const line of [
    ...sampled(lines),
    ['--help'],
    ['--version'],
    ['push', '--help'],
    ['ls', '--json'],
    ['nothing', '--json'],
  ]) {
    const { code, stderr } = await runCli(line, options);
    const isUsage = line[0] === 'nothing';
    t.is(code, isUsage ? 2 : 1, `${line.join(' ')}: ${stderr}`);
    t.regex(stderr, isUsage ? /Unknown command/ : /stdout cannot be written: ENOSPC/, line.join(' '));
  }
});

test('a push whose result cannot be printed is done nevertheless, and says so', async (t) => {
  const { run, env } = await bench(t);
  const { code, stderr } = await runCli(['push', run, '--producer', 'told', '--json'], { env, stdout: await full(t) });
  t.is(code, 1);
  t.regex(stderr, /did its work; only its output is lost/);
  t.like((await api.get('/v1/packages?producer=told')).body.items, [{ status: 'finalized' }]);
});

test('a file that accepts only the beginning is not a success: cat ends with exit 1', async (t) => {
  const { folder, env } = await bench(t);
  const out = join(folder, 'out');
  // In blocks of 1 KiB: the last write before the limit is cut short, without an error.
  const script = `ulimit -f 1000; exec ${process.execPath} ${BIN} cat ${id} large > ${out}`;
  const ended = promisify(execFile)('bash', ['--norc', '-c', script], { env: processEnv(env) });
  const error = await t.throwsAsync(ended, { code: 1 } as object);
  t.regex((error as Error & { stderr: string }).stderr, /stdout cannot be written: EFBIG.*\n.*incomplete/);
  t.is((await stat(out)).size, 1_000 * 1_024);
});

test('a short write is continued, and an error at close counts', async (t) => {
  const taken: Uint8Array[] = [];
  const calls = {
    write: async (_fd: number, bytes: Uint8Array) => {
      taken.push(bytes.slice(0, 3));
      return Math.min(3, bytes.length);
    },
    close: () => {
      throw Object.assign(new Error('EDQUOT: quota exceeded, close'), { code: 'EDQUOT' });
    },
  };
  const sink = fileSink(1, calls);
  await sink.write('seven b');
  t.is(Buffer.concat(taken).toString(), 'seven b');
  await t.throwsAsync(sink.close(), { message: /EDQUOT/ });
});

test('a reader that goes away ends the work early and quietly', async (t) => {
  const { env } = await bench(t);
  const relay = await startRelay(url);
  t.teardown(() => relay.close());
  const first = (line: string) => {
    const script = `set -o pipefail; ${process.execPath} ${BIN} ${line} | head -c 10`;
    return promisify(execFile)('bash', ['--norc', '-c', script], {
      env: processEnv({ ...env, ARTIFACT_STORE_URL: relay.url }),
    });
  };
  t.is((await first(`cat ${id} large`)).stderr, '');
  t.true(relay.told < LARGE.length / 2, `${relay.told} of ${LARGE.length} bytes were read`);
  for (const line of [`ls --json`, `manifest ${id}`, '--help', 'completion bash']) {
    t.is((await first(line)).stderr, '', line);
  }
});

test('a reader that goes away does not hide what was found', async (t) => {
  const { env } = await bench(t);
  const script = `${process.execPath} ${BIN} show nobody --json | true; exit \${PIPESTATUS[0]}`;
  const ended = promisify(execFile)('bash', ['--norc', '-c', script], { env: processEnv(env) });
  await t.throwsAsync(ended, { code: 3 } as object);
});

test('stderr that cannot be written stops nothing, not even the service', async (t) => {
  const { folder, run, env } = await bench(t);
  const pushed = await runCli(['push', run, '--producer', 'mute', '--json'], { env, stderr: await full(t) });
  t.is(pushed.code, 0);
  t.is(pushed.json.status, 'finalized');
  const refused = await runCli(['show', 'nobody'], { env, stderr: await full(t) });
  t.is(refused.code, 3);
  const args = ['serve', '--port', '0', '--data-dir', join(folder, 'served'), '--json'];
  const child = spawn(process.execPath, [BIN, ...args], {
    env: processEnv({ ARTIFACT_STORE_LOG_LEVEL: 'trace' }),
    stdio: ['ignore', 'pipe', await full(t)],
  });
  const ended = once(child, 'close');
  const [line] = (await once(createInterface({ input: child.stdout as Readable }), 'line')) as [string];
  t.is((await fetch(`${(JSON.parse(line) as { url: string }).url}/healthz`)).status, 200);
  child.kill('SIGTERM');
  t.deepEqual(await ended, [0, null]);
});

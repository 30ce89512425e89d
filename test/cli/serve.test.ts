import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { apiOf, sha256 } from '../support/api.ts';
import { BIN } from '../support/command.ts';
import { processEnv } from '../support/process-env.ts';
import { tempFolder } from '../support/temp.ts';

interface Served {
  child: ChildProcess;
  url: string;
  /** What has come so far. */
  out: { stdout: string; stderr: string };
  /** Exit code and signal, once everything is closed. */
  ended: Promise<unknown[]>;
}

/** `serve` as a child process, when it has said where it listens. */
async function serve(t: ExecutionContext, args: string[], env: Record<string, string> = {}): Promise<Served> {
  const child = spawn(process.execPath, [BIN, 'serve', '--port', '0', ...args], {
    env: processEnv(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const out = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      out[name] += text;
    });
  }
  const said = args.includes('--json') ? child.stdout : child.stderr;
  const first = once(createInterface({ input: said }), 'line') as Promise<[string]>;
  const [line] = await Promise.race([
    first,
    ended.then(() => Promise.reject(new Error(`serve ended before it listened: ${out.stderr}`))),
  ]);
  return { child, url: (JSON.parse(line) as { url: string }).url, out, ended };
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

test.serial('the first log line has the URL, and stdout stays empty', async (t) => {
  const dir = join(await tempFolder(t), 'data');
  const { child, url, out, ended } = await serve(t, ['--data-dir', dir]);
  t.regex(url, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  t.is((await fetch(`${url}/readyz`)).status, 200);
  child.kill('SIGTERM');
  t.deepEqual(await ended, [0, null]);
  const [first, ...rest] = lines(out.stderr).map((line) => JSON.parse(line));
  t.like(first, { url, data_dir: dir });
  t.true(first.msg.includes(url));
  t.true(
    rest.some(({ msg }) => /loopback only/.test(msg)),
    'it says that there is no token',
  );
  t.is(out.stdout, '');
});

test.serial('--json prints exactly one line on stdout, whatever happens afterwards', async (t) => {
  const dir = join(await tempFolder(t), 'data');
  const { child, url, out, ended } = await serve(t, ['--data-dir', dir, '--json'], {
    ARTIFACT_STORE_LOG_LEVEL: 'trace',
    ARTIFACT_STORE_PUBLIC_URL: 'https://store.example/',
  });
  t.is(url, 'https://store.example', 'how clients reach it');
  child.kill('SIGINT');
  t.deepEqual(await ended, [0, null]);
  t.deepEqual(
    lines(out.stdout).map((line) => JSON.parse(line)),
    [{ url }],
  );
});

test.serial('the options set the variables of the same name', async (t) => {
  const dir = join(await tempFolder(t), 'data');
  const env = { ARTIFACT_STORE_PORT: '1', ARTIFACT_STORE_HOST: '192.0.2.1', ARTIFACT_STORE_DATA_DIR: '/nowhere' };
  const { url } = await serve(t, ['--host', '127.0.0.1', '--data-dir', dir], env);
  t.is((await fetch(`${url}/readyz`)).status, 200);
  t.true((await readdir(dir)).includes('registry.sqlite'));
});

/** A download of which nothing is read beyond its head. */
function slowDownload(url: string): Promise<IncomingMessage> {
  return new Promise((answered, failed) => {
    get(url, { agent: false }, (answer) => answered(answer.pause())).once('error', failed);
  });
}

function opens(url: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.once('connect', () => done(true)).once('error', () => done(false));
    socket.once('connect', () => socket.destroy());
  });
}

async function storeLarge(url: string): Promise<{ file: string; digest: string }> {
  const api = apiOf(url);
  const id = await api.create();
  // More than sockets hold, so that it cannot be under way before it is read.
  const bytes = randomBytes(24 * 1024 ** 2);
  await api.call('PUT', `/v1/packages/${id}/files/f`, bytes);
  return { file: `${url}/v1/packages/${id}/files/f`, digest: sha256(bytes) };
}

test.serial('SIGTERM: no new connection, requests in flight finish, the folder is released, exit 0', async (t) => {
  const dir = join(await tempFolder(t), 'data');
  const { child, url, ended } = await serve(t, ['--data-dir', dir, '--json']);
  const { file, digest } = await storeLarge(url);
  const answer = await slowDownload(file);
  child.kill('SIGTERM');
  while (await opens(url)) await nextTurn();
  t.is(child.exitCode, null, 'it waits for the download');
  const got: Buffer[] = [];
  for await (const chunk of answer) got.push(chunk as Buffer);
  t.is(sha256(Buffer.concat(got)), digest);
  t.deepEqual(await ended, [0, null]);
  const left = await readdir(dir);
  for (const name of ['holder.json', 'registry.sqlite-wal', 'registry.sqlite-shm']) t.false(left.includes(name), name);
});

test.serial('a second signal ends it at once', async (t) => {
  const dir = join(await tempFolder(t), 'data');
  const { child, url, ended } = await serve(t, ['--data-dir', dir, '--json']);
  const { file } = await storeLarge(url);
  const answer = await slowDownload(file);
  answer.once('error', () => {});
  child.kill('SIGTERM');
  while (await opens(url)) await nextTurn();
  child.kill('SIGTERM');
  t.deepEqual(await ended, [143, null]);
});

test.serial(
  'kill -9, and a start on the same folder works at once, with everything that was acknowledged',
  async (t) => {
    const dir = join(await tempFolder(t), 'data');
    const ids: string[] = [];
    for (let round = 0; round < 3; round++) {
      const { child, url, ended } = await serve(t, ['--data-dir', dir, '--json']);
      const api = apiOf(url);
      for (const id of ids) t.is((await api.get(`/v1/packages/${id}`)).body.status, 'finalized');
      ids.push(await api.preserve({ [`f${round}`]: `round ${round}`, empty: '' }));
      child.kill('SIGKILL');
      t.deepEqual(await ended, [null, 'SIGKILL']);
    }
    t.true((await readdir(dir)).includes('holder.json'), 'a kill leaves this behind, and it does not matter');
  },
);

import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RANGE_SIZE } from '../../cli/client/partial-file.ts';
import { apiOf } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { journaled, privateFolders, untilJournaled } from '../support/pull-journal.ts';
import { type Relay, type RelayedRequest, startRelay } from '../support/relay.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

const RANGES = 6;
const service = await startTestService();
test.after.always(() => service.dispose());

async function bench(t: ExecutionContext) {
  const folder = await tempFolder(t);
  const relay = await startRelay(service.url);
  t.teardown(() => relay.close());
  const files = {
    'large.bin': randomBytes((RANGES - 1) * RANGE_SIZE + 1_000),
    'small/a': `a ${folder}`,
    'small/b': `b ${folder}`,
  };
  const id = await apiOf(service.url).preserve(files);
  const copy = join(folder, 'copy');
  return {
    relay,
    copy,
    expected: await readTree(await writeTree(join(folder, 'expected'), files)),
    pull: (onSpawn?: (child: ChildProcess) => void) =>
      runCli(['pull', id, copy, '--json', '--parallel', '1'], {
        env: { ARTIFACT_STORE_URL: relay.url },
        cwd: folder,
        ...(onSpawn ? { onSpawn } : {}),
      }),
  };
}

function isBytes({ method, url }: RelayedRequest): boolean {
  return method === 'GET' && url.startsWith('/v1/objects/');
}

function isRange(request: RelayedRequest): boolean {
  return isBytes(request) && request.range !== undefined;
}

/** Lets `count` ranges through, waits until they are written down, acts, and leaves the next without an answer. */
function stopAtRange(relay: Relay, copy: string, count: number, act: () => void): void {
  let ranges = 0;
  relay.before = async (request) => {
    if (!isRange(request)) return 'pass';
    ranges += 1;
    if (ranges <= count) return 'pass';
    await untilJournaled(copy, count);
    act();
    return new Promise<never>(() => {});
  };
}

async function cutOff(
  { relay, copy, pull }: Awaited<ReturnType<typeof bench>>,
  count: number,
  signal: NodeJS.Signals = 'SIGKILL',
): ReturnType<typeof runCli> {
  let child: ChildProcess | undefined;
  stopAtRange(relay, copy, count, () => child?.kill(signal));
  const ended = await pull((process) => {
    child = process;
  });
  relay.before = async () => 'pass';
  relay.seen.length = 0;
  return ended;
}

test('a pull that was killed continues: what is on the disk is not read again', async (t) => {
  const place = await bench(t);
  const { relay, copy, pull, expected } = place;
  const killed = await cutOff(place, 3);
  t.is(killed.signal, 'SIGKILL');
  t.false((await readdir(copy)).includes('large.bin'), 'nothing under the final name');
  const there = await journaled(copy);
  t.is(there, 3);
  const done = await pull();
  t.is(done.code, 0, done.stderr + done.stdout);
  t.like(done.json, { resumed_bytes: 3 * RANGE_SIZE, skipped: 2, files: 1 });
  t.is(relay.seen.filter(isRange).length, RANGES - 3);
  t.is(relay.seen.filter(isBytes).length, RANGES - 3, 'the small files were there');
  t.deepEqual(await readTree(copy), expected);
  t.deepEqual(await privateFolders(copy), []);
});

test('Ctrl-C keeps what arrived, and says how to continue', async (t) => {
  const place = await bench(t);
  const stopped = await cutOff(place, 2, 'SIGINT');
  t.is(stopped.code, 130, stopped.stderr);
  t.regex(stopped.json.error.next, /continues where it stopped/);
  const done = await place.pull();
  t.is(done.json.resumed_bytes, 2 * RANGE_SIZE, done.stderr);
  t.deepEqual(await readTree(place.copy), place.expected);
});

test('what a pull before left is trusted in nothing: other bytes are found and read once more', async (t) => {
  const place = await bench(t);
  await cutOff(place, 3);
  const [folder = ''] = await privateFolders(place.copy);
  const part = join(folder, (await readdir(folder)).find((name) => name.endsWith('.part')) ?? '');
  const bytes = await readFile(part);
  bytes[RANGE_SIZE + 17] = (bytes[RANGE_SIZE + 17] as number) ^ 1;
  await writeFile(part, bytes);
  const done = await place.pull();
  t.is(done.code, 0, done.stderr + done.stdout);
  t.is(place.relay.seen.filter(isRange).length, RANGES - 3 + RANGES);
  t.deepEqual(await readTree(place.copy), place.expected);
});

test('an empty file, as a power cut leaves it: written after a pull that was cut off, else refused', async (t) => {
  const place = await bench(t);
  const { copy, pull, expected } = place;
  await cutOff(place, 1);
  await writeFile(join(copy, 'small/a'), '');
  t.is((await pull()).code, 0);
  t.deepEqual(await readTree(copy), expected);
  await writeFile(join(copy, 'small/a'), '');
  const refused = await pull();
  t.is(refused.code, 4);
  t.like(refused.json.error, { code: 'file_differs', path: 'small/a' });
  t.is(await readFile(join(copy, 'small/a'), 'utf8'), '');
});

test("after a pull that was cut off, a file with bytes of somebody else's is refused all the same", async (t) => {
  const place = await bench(t);
  await cutOff(place, 1);
  await writeFile(join(place.copy, 'small/a'), 'mine');
  const refused = await place.pull();
  t.is(refused.code, 4);
  t.is(await readFile(join(place.copy, 'small/a'), 'utf8'), 'mine');
  await writeFile(join(place.copy, 'small/a'), '');
  t.is((await place.pull()).json.resumed_bytes, RANGE_SIZE, 'the refusal lost nothing');
});

test('two pulls at once into one directory: neither takes the other’s work, both end well', async (t) => {
  const { relay, copy, pull, expected } = await bench(t);
  let go: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  let first = true;
  relay.before = async (request) => {
    if (!isRange(request) || !first) return 'pass';
    first = false;
    // The second one begins and ends while the first one waits.
    const other = await pull();
    t.is(other.code, 0, other.stderr + other.stdout);
    t.is(other.json.resumed_bytes, 0);
    go();
    return 'pass';
  };
  const one = await pull();
  await gate;
  t.is(one.code, 0, one.stderr + one.stdout);
  t.deepEqual(await readTree(copy), expected);
  t.deepEqual(await privateFolders(copy), []);
});

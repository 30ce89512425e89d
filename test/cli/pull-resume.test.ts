import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFile, link, open, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RANGE_SIZE } from '../../cli/client/target/file-ranges.ts';
import { apiOf } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { sampled } from '../support/long.ts';
import { journaled, privateFolders, untilJournaled } from '../support/pull-journal.ts';
import { type Relay, type RelayedRequest, startRelay } from '../support/relay.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

const RANGES = 6;
const SIZE = (RANGES - 1) * RANGE_SIZE + 1_000;
const service = await startTestService();
test.after.always(() => service.dispose());
const files = { 'large.bin': randomBytes(SIZE), 'small/a': 'a', 'small/b': 'b' };
let id = '';
test.before(async () => {
  id = await apiOf(service.url).preserve(files);
});

async function bench(t: ExecutionContext) {
  const folder = await tempFolder(t);
  const relay = await startRelay(service.url);
  t.teardown(() => relay.close());
  const copy = join(folder, 'copy');
  return {
    relay,
    copy,
    expected: await readTree(await writeTree(join(folder, 'expected'), files)),
    pull: (onSpawn?: (child: ChildProcess) => void) =>
      runCli(['pull', id, copy, '--json', '--parallel', '1'], {
        env: { ARTIFACT_STORE_URL: relay.url },
        cwd: folder,
        // Whose process lives is still at it: what it left is not taken over.
        alone: true,
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

/** What a pull that was cut off left of the large file. */
async function leftOf(copy: string): Promise<{ part: string; journal: string }> {
  const [folder = ''] = await privateFolders(copy);
  const name = (await readdir(folder)).find((each) => each.endsWith('.part')) ?? '';
  return { part: join(folder, name), journal: join(folder, name.replace('.part', '.ranges')) };
}

async function overwrite(path: string, bytes: Buffer, position: number): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, position);
  await file.close();
}

const DAMAGES: Array<{
  what: string;
  damage: (left: { part: string; journal: string }) => Promise<unknown>;
  /** Of all ranges, so many are read by the next pull. */
  ranges: number;
}> = [
  ...[1, 4_096, 300 * 1024 ** 2].map((more) => ({
    what: `${more} bytes behind its end`,
    damage: ({ part }: { part: string }) => truncate(part, SIZE + more),
    ranges: RANGES - 3,
  })),
  {
    what: 'other bytes outside of what is journaled, and behind its end',
    damage: async ({ part }) => {
      await overwrite(part, randomBytes(SIZE), 3 * RANGE_SIZE);
    },
    ranges: RANGES - 3,
  },
  {
    what: 'other bytes in what is journaled',
    damage: ({ part }) => overwrite(part, randomBytes(100), RANGE_SIZE + 17),
    ranges: RANGES - 3 + RANGES,
  },
  {
    what: 'fewer bytes than are journaled',
    damage: ({ part }) => truncate(part, RANGE_SIZE + 5),
    ranges: RANGES - 1,
  },
  {
    what: 'a journal that lists everything, and a byte too many',
    damage: async ({ part, journal }) => {
      await appendFile(journal, Array.from({ length: RANGES }, (_, index) => `${index}\n`).join(''));
      await truncate(part, SIZE + 1);
    },
    ranges: RANGES,
  },
  {
    what: 'a journal without end',
    damage: ({ journal }) => truncate(journal, 10 * 1024 ** 3),
    ranges: RANGES,
  },
];
for (const { what, damage, ranges } of sampled(DAMAGES, 4)) {
  // One after the other: each takes two processes, and a file of 42 MB.
  test.serial(`leftovers of an earlier pull are not trusted: ${what}`, async (t) => {
    const place = await bench(t);
    t.is((await cutOff(place, 3)).signal, 'SIGKILL');
    await damage(await leftOf(place.copy));
    const done = await place.pull();
    t.is(done.code, 0, done.stderr + done.stdout);
    t.is(place.relay.seen.filter(isRange).length, ranges);
    t.is((await stat(join(place.copy, 'large.bin'))).size, SIZE);
    t.deepEqual(await readTree(place.copy), place.expected);
    t.deepEqual(await privateFolders(place.copy), []);
  });
}

test('leftovers of an earlier pull under another name, or through a symlink, are not written to', async (t) => {
  const place = await bench(t);
  const outside = await writeTree(await tempFolder(t), { linked: 'mine', 'led to': 'mine too' });
  for (const replace of [link, symlink]) {
    await cutOff(place, 3);
    const { part, journal } = await leftOf(place.copy);
    await rm(part);
    await rm(journal);
    await replace(join(outside, 'linked'), part);
    await symlink(join(outside, 'led to'), journal);
    const done = await place.pull();
    t.is(done.code, 0, done.stderr + done.stdout);
    t.deepEqual(await readTree(place.copy), place.expected);
    t.is(await readFile(join(outside, 'linked'), 'utf8'), 'mine');
    t.is(await readFile(join(outside, 'led to'), 'utf8'), 'mine too');
    t.is((await stat(join(place.copy, 'large.bin'))).nlink, 1);
    await rm(place.copy, { recursive: true });
  }
});

test('an empty file, as a power cut leaves it: replaced after an interrupted pull, otherwise refused', async (t) => {
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

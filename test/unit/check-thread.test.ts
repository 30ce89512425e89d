import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { openCheckThread } from '../../src/blobs/check-thread.ts';
import { checkStream } from '../../src/blobs/stream-check.ts';
import { digestOf } from '../../src/core/digest.ts';
import { layoutPack, PACK_END_SIZE, writeMemberHeader } from '../../src/core/pack.ts';

const WHOLE = { members: null, whole: true, stored: null };

test('streams hashed at once beside the event loop have their digests, whatever pieces they come in', async (t) => {
  const thread = openCheckThread();
  t.teardown(() => thread.close());
  const contents = [0, 1, 100_000, 3_000_000, 10_000_000].map((size) => randomBytes(size));
  const digests = await Promise.all(
    contents.map((bytes, n) => {
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += 5_000 * (n + 1)) pieces.push(bytes.subarray(at, at + 5_000 * (n + 1)));
      return thread.check(Readable.from(pieces), WHOLE);
    }),
  );
  t.deepEqual(digests, contents.map(digestOf));
});

const onLinux = process.platform === 'linux' ? test : test.skip;
onLinux('the thread gives way to the event loop', async (t) => {
  const thread = openCheckThread();
  t.teardown(() => thread.close());
  await thread.check(Readable.from([Buffer.from('something')]), WHOLE);
  // Field 19 of proc(5) stat; the name before them is in brackets. Threads of other tests may end meanwhile.
  const niceness = (id: string): number | null => {
    try {
      return Number(
        readFileSync(`/proc/self/task/${id}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ')[16],
      );
    } catch {
      return null;
    }
  };
  const usual = getPriority();
  t.is(niceness(String(process.pid)), usual);
  t.true(readdirSync('/proc/self/task').some((id) => niceness(id) === Math.min(19, usual + 10)));
});

test('a stream that breaks off is an error of its own, and others go on', async (t) => {
  const thread = openCheckThread();
  t.teardown(() => thread.close());
  async function* broken() {
    yield Buffer.from('some');
    throw new Error('broke off');
  }
  const [failed, fine] = await Promise.allSettled([
    thread.check(broken(), WHOLE),
    thread.check(Readable.from([Buffer.from('fine')]), WHOLE),
  ]);
  t.is((failed as PromiseRejectedResult).reason.message, 'broke off');
  t.is((fine as PromiseFulfilledResult<string>).value, digestOf('fine'));
});

test('large streams go to the thread, small ones do not', async (t) => {
  const thread = openCheckThread();
  t.teardown(() => thread.close());
  t.is(thread.forSize(8 * 1024 ** 2 - 1), checkStream);
  t.is(thread.forSize(8 * 1024 ** 2), thread.check);
});

test('bytes are handed out in their order before they are checked, and what fails there ends the check', async (t) => {
  const thread = openCheckThread();
  t.teardown(() => thread.close());
  const bytes = randomBytes(3_000_000);
  const pieces = () =>
    Readable.from(Array.from({ length: 30 }, (_, n) => bytes.subarray(n * 100_000, (n + 1) * 100_000)));
  const taken: Buffer[] = [];
  const take = async (some: Uint8Array): Promise<void> => {
    taken.push(Buffer.from(some));
    await sleep(1);
  };
  t.is(await thread.check(pieces(), WHOLE, take), digestOf(bytes));
  t.true(bytes.equals(Buffer.concat(taken)));
  let takes = 0;
  let underWay = 0;
  const failing = async (): Promise<void> => {
    takes += 1;
    underWay += 1;
    await sleep(1);
    underWay -= 1;
    if (takes === 2) throw new Error('no room');
  };
  await t.throwsAsync(thread.check(pieces(), WHOLE, failing), { message: 'no room' });
  t.is(takes, 2, 'nothing is handed out after a failure');
  async function* broken() {
    yield* pieces();
    throw new Error('went away');
  }
  takes = 9;
  await t.throwsAsync(thread.check(broken(), WHOLE, failing), { message: 'went away' });
  t.is(underWay, 0, 'nobody uses the bytes any more');
  takes = 9;
  const waiting = t.throwsAsync(thread.check(pieces(), WHOLE, failing), { code: 'unavailable' });
  await thread.close();
  await waiting;
  t.is(underWay, 0);
});

test('what waits when the thread ends is an error; the next stream gets another thread', async (t) => {
  const thread = openCheckThread();
  t.teardown(() => thread.close());
  async function* endless() {
    for (;;) yield Buffer.alloc(1_000);
  }
  const waiting = t.throwsAsync(thread.check(endless(), WHOLE));
  setTimeout(() => void thread.close(), 50);
  t.like(await waiting, { code: 'unavailable' });
  t.is(await thread.check(Readable.from([Buffer.from('again')]), WHOLE), digestOf('again'));
});

test('a pack beside the event loop: right, with a wrong member, too short; others go on', async (t) => {
  const thread = openCheckThread();
  t.teardown(() => thread.close());
  const blobs = [1_000, 70_000, 5].map((size) => randomBytes(size));
  const { members, size } = layoutPack(blobs.map((bytes) => ({ digest: digestOf(bytes), size: bytes.length })));
  const pack = Buffer.alloc(size);
  for (const [n, member] of members.entries()) {
    writeMemberHeader(pack, member.offset - 512, member.digest, member.size);
    blobs[n]?.copy(pack, member.offset);
  }
  const start = members[1]?.offset ?? 0;
  const wrong = Buffer.from(pack);
  wrong.writeUInt8(1 ^ wrong.readUInt8(start + 60_000), start + 60_000);
  const check = (bytes: Buffer, whole: boolean) => {
    const pieces = Array.from({ length: Math.ceil(bytes.length / 4_096) }, (_, n) => {
      return bytes.subarray(n * 4_096, (n + 1) * 4_096);
    });
    return thread.check(Readable.from(pieces), { members, whole, stored: null });
  };
  const [right, unasked, spoilt, short] = await Promise.allSettled([
    check(pack, true),
    check(pack, false),
    check(wrong, true),
    check(pack.subarray(0, size - PACK_END_SIZE), true),
  ]);
  t.like(right, { value: digestOf(pack) });
  t.like(unasked, { value: null });
  t.like((spoilt as PromiseRejectedResult).reason, {
    code: 'digest_mismatch',
    extras: {
      digest: members[1]?.digest,
      actual_digest: digestOf(wrong.subarray(start, start + 70_000)),
    },
  });
  t.like((short as PromiseRejectedResult).reason, { code: 'invalid_pack' });
});

import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import test from 'ava';
import { openDigestThread } from '../../src/blobs/digest-thread.ts';
import { digestOf } from '../../src/core/digest.ts';

test('streams hashed at once beside the event loop have their digests, whatever pieces they come in', async (t) => {
  const thread = openDigestThread();
  t.teardown(() => thread.close());
  const contents = [0, 1, 100_000, 3_000_000, 10_000_000].map((size) => randomBytes(size));
  const digests = await Promise.all(
    contents.map((bytes, n) => {
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += 5_000 * (n + 1)) pieces.push(bytes.subarray(at, at + 5_000 * (n + 1)));
      return thread.digestOf(Readable.from(pieces));
    }),
  );
  t.deepEqual(digests, contents.map(digestOf));
});

test('a stream that breaks off is an error of its own, and others go on', async (t) => {
  const thread = openDigestThread();
  t.teardown(() => thread.close());
  async function* broken() {
    yield Buffer.from('some');
    throw new Error('broke off');
  }
  const [failed, fine] = await Promise.allSettled([
    thread.digestOf(broken()),
    thread.digestOf(Readable.from([Buffer.from('fine')])),
  ]);
  t.is((failed as PromiseRejectedResult).reason.message, 'broke off');
  t.is((fine as PromiseFulfilledResult<string>).value, digestOf('fine'));
});

test('what waits when the thread ends is an error; the next stream gets another thread', async (t) => {
  const thread = openDigestThread();
  t.teardown(() => thread.close());
  async function* endless() {
    for (;;) yield Buffer.alloc(1_000);
  }
  const waiting = t.throwsAsync(thread.digestOf(endless()));
  setTimeout(() => void thread.close(), 50);
  t.regex((await waiting)?.message ?? '', /ended/);
  t.is(await thread.digestOf(Readable.from([Buffer.from('again')])), digestOf('again'));
});

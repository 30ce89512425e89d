import test from 'ava';
import { sharedSync } from '../../src/blobs/shared-sync.ts';

test('calls share a sync that begins after them, and only such a one', async (t) => {
  const begun: Array<{ dir: string; end: (error?: Error) => void }> = [];
  const sync = sharedSync(
    (dir) =>
      new Promise((resolve, reject) => {
        begun.push({ dir, end: (error) => (error ? reject(error) : resolve()) });
      }),
  );
  const first = sync('a');
  const others = [sync('a'), sync('a'), sync('a')];
  const elsewhere = sync('b');
  t.deepEqual(
    begun.map(({ dir }) => dir),
    ['a', 'b'],
  );
  begun[0]?.end(new Error('EIO'));
  begun[1]?.end();
  await t.throwsAsync(first);
  await elsewhere;
  await new Promise(setImmediate);
  t.is(begun.length, 3, 'those that came while it ran share one more');
  begun[2]?.end();
  await Promise.all(others);
  const later = sync('a');
  t.is(begun.length, 4);
  begun[3]?.end();
  await later;
});

import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { RANGE_SIZE } from '../../cli/client/target/file-ranges.ts';
import { createClient } from '../../cli/library/client.ts';
import { apiOf } from '../support/api.ts';
import { privateFolders, untilJournaled } from '../support/pull-journal.ts';
import { startRelay } from '../support/relay.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

/** What a command line never does: one process goes on after its work was interrupted, and works on several things at once. */
const service = await startTestService();
test.after.always(() => service.dispose());
const env = { XDG_CACHE_HOME: join(service.dataDir, 'client-cache') };

test('a pull that was aborted is continued by the same process', async (t) => {
  const folder = await tempFolder(t);
  const files = { 'large.bin': randomBytes(3 * RANGE_SIZE + 1_000), 'small/a': 'a' };
  const id = await apiOf(service.url).preserve(files);
  const relay = await startRelay(service.url);
  t.teardown(() => relay.close());
  const client = createClient({ url: relay.url, env });
  t.teardown(() => client.close());
  const copy = join(folder, 'copy');
  const aborting = new AbortController();
  const reason = new Error('enough for today');
  let ranges = 0;
  relay.before = async ({ url, range }) => {
    if (!url.startsWith('/v1/objects/') || range === undefined) return 'pass';
    ranges += 1;
    if (ranges <= 2) return 'pass';
    await untilJournaled(copy, 2);
    aborting.abort(reason);
    return new Promise<never>(() => {});
  };
  await t.throwsAsync(client.pull(id, copy, { parallel: 1, signal: aborting.signal }), { is: reason });
  t.false((await readdir(copy)).includes('large.bin'), 'nothing under the final name');
  t.is((await privateFolders(copy)).length, 1);
  relay.before = async () => 'pass';
  t.like(await client.pull(id, copy), { resumed_bytes: 2 * RANGE_SIZE, files: 1, skipped: 1 });
  t.deepEqual(await privateFolders(copy), []);
  t.deepEqual(await readTree(copy), await readTree(await writeTree(join(folder, 'expected'), files)));
});

test('several pushes and pulls at once, of the same directory, too', async (t) => {
  const folder = await tempFolder(t);
  const client = createClient({ url: service.url, env });
  t.teardown(() => client.close());
  const files = { 'a.txt': 'A', 'b/large.bin': randomBytes(RANGE_SIZE) };
  await writeTree(join(folder, 'run'), files);
  const names = ['one', 'two', 'three'];
  const pushed = await Promise.all(
    names.map((name) => client.push(join(folder, 'run'), { producer: 'at once', externalId: name, name })),
  );
  t.is(new Set(pushed.map(({ id }) => id)).size, 3);
  const same = await Promise.all(
    names.map(() => client.push(join(folder, 'run'), { producer: 'at once', externalId: 'same' })),
  );
  t.is(new Set(same.map(({ id }) => id)).size, 1);
  const [first] = pushed;
  await Promise.all([
    ...pushed.map(({ id }) => client.pull(id, join(folder, 'copies', id))),
    client
      .pull(first?.id ?? '', join(folder, 'copies', first?.id ?? ''))
      .catch((error) => t.is(error.code, 'file_differs')),
  ]);
  const expected = await readTree(join(folder, 'run'));
  for (const { id } of pushed) t.deepEqual(await readTree(join(folder, 'copies', id)), expected);
});

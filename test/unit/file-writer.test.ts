import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { FileWriter } from '../../cli/client/target/file-writer.ts';
import { OpenFolder } from '../../cli/client/target/open-folder.ts';
import { OpenTree } from '../../cli/client/target/open-tree.ts';
import { type Place, Placement } from '../../cli/client/target/placement.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

const MANY = 2_000;

async function open(t: ExecutionContext) {
  const root = await tempFolder(t);
  const hidden = join(root, '.private');
  await mkdir(hidden);
  const tree = new OpenTree(OpenFolder.open(root));
  const folders = { tree, private: OpenFolder.open(hidden), prefix: '.pull-' };
  const done = { files: 0, bytes: 0 };
  const stop = new AbortController();
  const writer = new FileWriter(new Placement(folders), folders, {
    signal: stop.signal,
    written: (size) => {
      done.files += 1;
      done.bytes += size;
    },
  });
  t.teardown(() => writer.close());
  return { root, hidden, writer, done, stop };
}

function place(path: string, kept: Partial<Place['kept']> = {}): Place {
  return { path, kept: { executable: false, mtime: null, ...kept }, unfinished: false };
}

/** Small ones that fill many blocks, one that fills none, and one that is written at once. */
function contents(): Map<string, Buffer> {
  const sizes = Array.from({ length: MANY }, (_, n) => (n * 37) % 9_000);
  return new Map([...sizes, 0, 300_000].map((size, n) => [`folder-${n % 7}/deep/file-${n}`, randomBytes(size)]));
}

for (const [how, expected] of [
  ['in a thread', MANY],
  ['without one', 1],
] as const) {
  test(`files written ${how} by many at once have their bytes, and are counted`, async (t) => {
    const { root, hidden, writer, done } = await open(t);
    writer.expect(expected);
    await writer.write([place('the first')], Buffer.from('first'));
    t.is(done.files, expected === 1 ? 1 : 0, 'whether another thread has it');
    const files = contents().set('the first', Buffer.from('first'));
    const left = [...files].filter(([path]) => path !== 'the first');
    const work = async (): Promise<void> => {
      for (let next = left.pop(); next; next = left.pop()) {
        // What arrives is memory that is used again.
        const bytes = Buffer.from(next[1]);
        await writer.write([place(next[0])], bytes);
        bytes.fill(0);
      }
    };
    await Promise.all(Array.from({ length: 8 }, work));
    await writer.flush();
    t.deepEqual(await readdir(hidden), []);
    const tree = await readTree(root);
    t.is(Object.keys(tree).length, files.size);
    for (const [path, bytes] of files) if (!bytes.equals(await readFile(join(root, path)))) t.fail(path);
    t.deepEqual(done, { files: files.size, bytes: [...files.values()].reduce((sum, { length }) => sum + length, 0) });
  });
}

test('several places of the same bytes, with the time and the mode that each is to have', async (t) => {
  const { root, writer } = await open(t);
  writer.expect(MANY);
  const mtime = new Date('2020-02-02T02:02:02Z');
  await writer.write([place('plain'), place('tool', { executable: true, mtime })], Buffer.from('bytes'));
  await writer.flush();
  const [plain, tool] = await Promise.all(['plain', 'tool'].map((path) => stat(join(root, path))));
  t.is((plain?.mode ?? 0) & 0o100, 0);
  t.is((tool?.mode ?? 0) & 0o100, 0o100);
  t.deepEqual(tool?.mtime, mtime);
  t.is(await readFile(join(root, 'tool'), 'utf8'), 'bytes');
});

test('what the thread may not write is refused by name, and what is there stays', async (t) => {
  const { root, hidden, writer, done } = await open(t);
  writer.expect(MANY);
  const outside = await tempFolder(t);
  await symlink(outside, join(root, 'link'));
  await writer.write([place('before')], Buffer.from('before'));
  await writer.write([place('link/file')], Buffer.from('file'));
  await writer.write([place('after')], Buffer.from('after'));
  await t.throwsAsync(writer.flush(), { message: '"link/file" is not written: "link" is a symlink there.' });
  await t.throwsAsync(writer.write([place('later')], Buffer.from('later')), { message: /"link\/file"/ });
  t.deepEqual(await readdir(outside), []);
  t.deepEqual(await readdir(hidden), []);
  t.true((await readdir(root)).includes('before'));
  t.is(done.files, 1);
});

test('a name that was taken meanwhile: the same bytes are fine, others are not replaced', async (t) => {
  const { root, writer, done } = await open(t);
  writer.expect(MANY);
  await writeFile(join(root, 'same'), 'the same');
  await writeFile(join(root, 'other'), 'others');
  await writeFile(join(root, 'cut off'), '');
  await writer.write([place('same')], Buffer.from('the same'));
  await writer.write([{ ...place('cut off'), unfinished: true }], Buffer.from('now whole'));
  await writer.flush();
  t.is(done.files, 2);
  t.is(await readFile(join(root, 'cut off'), 'utf8'), 'now whole');
  await writer.write([place('other')], Buffer.from('mine'));
  await t.throwsAsync(writer.flush(), { message: /"other" already exists, with different bytes: it is not replaced/ });
  t.is(await readFile(join(root, 'other'), 'utf8'), 'others');
});

test('a list of places longer than a block has room for; what is sent need not wait for the end', async (t) => {
  const { root, writer, done } = await open(t);
  writer.expect(MANY);
  await writer.write(
    Array.from({ length: 3_500 }, (_, n) => place(`empty/${n}`)),
    Buffer.alloc(0),
  );
  writer.send();
  while (done.files < 3_500) await new Promise((resolve) => setTimeout(resolve, 10));
  t.is((await readdir(join(root, 'empty'))).length, 3_500);
  await writer.flush();
});

test('when the signal aborts nothing more is written, and nothing half made is left', async (t) => {
  const { root, hidden, writer, done, stop } = await open(t);
  writer.expect(MANY);
  const writing = (async () => {
    for (let n = 0; ; n += 1) await writer.write([place(`file-${n}`)], Buffer.alloc(10_000));
  })();
  const failed = t.throwsAsync(writing, { message: 'enough' });
  while (done.files === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  stop.abort(new Error('enough'));
  await failed;
  t.throws(() => writer.assertSound(), { message: 'enough' });
  await writer.close();
  const files = done.files;
  t.deepEqual(await readdir(hidden), []);
  t.is((await readdir(root)).length, files + 1, 'each of them was counted');
});

test('whoever waits for a writer that is closed gets an error', async (t) => {
  const { writer } = await open(t);
  writer.expect(MANY);
  const writing = (async () => {
    for (let n = 0; ; n += 1) await writer.write([place(`file-${n}`)], Buffer.alloc(10_000));
  })();
  const failed = t.throwsAsync(writing, { message: 'The writer was closed.' });
  setTimeout(() => void writer.close(), 200);
  await failed;
});

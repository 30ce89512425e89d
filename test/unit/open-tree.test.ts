import { readdirSync } from 'node:fs';
import { link, mkdir, readdir, readFile, rename, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { OpenFolder } from '../../cli/client/target/open-folder.ts';
import { OpenTree } from '../../cli/client/target/open-tree.ts';
import { type Place, Placement } from '../../cli/client/target/placement.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

async function open(t: ExecutionContext, byHandle = true) {
  const root = await tempFolder(t);
  const outside = await tempFolder(t);
  const hidden = join(root, '.private');
  await mkdir(hidden);
  const tree = new OpenTree(OpenFolder.open(root, byHandle));
  const placement = new Placement({ tree, private: OpenFolder.open(hidden, byHandle), prefix: '.pull-' });
  return {
    root,
    outside,
    hidden,
    tree,
    write: (path: string, options: Partial<Place> = {}) =>
      placement.write(
        { path, kept: { executable: false, mtime: null }, unfinished: false, ...options },
        Buffer.from(path),
      ),
  };
}

test('a folder that gave its place to a symlink: files go where it went, nothing through the symlink, and it is told', async (t) => {
  const { root, outside, tree, write } = await open(t);
  write('a/b/one');
  tree.assertInPlace();
  await rename(join(root, 'a'), join(root, 'away'));
  await symlink(outside, join(root, 'a'));
  write('a/b/two');
  write('a/c/three');
  t.deepEqual(await readdir(outside), []);
  t.deepEqual(Object.keys(await readTree(join(root, 'away'))).sort(), ['b/one', 'b/two', 'c/three']);
  t.throws(() => tree.assertInPlace(), { message: /^"a" was moved away or replaced/ });
});

test('the same without /proc: the folder that has the path by now is noticed before each use', async (t) => {
  const { root, outside, write } = await open(t, false);
  write('a/one');
  t.is(await readFile(join(root, 'a/one'), 'utf8'), 'a/one');
  await rename(join(root, 'a'), join(root, 'away'));
  await symlink(outside, join(root, 'a'));
  t.throws(() => write('a/two'), { message: /was moved away or replaced/ });
  await rename(root, `${root}-away`);
  t.teardown(() => rm(`${root}-away`, { recursive: true }));
  await symlink(outside, root);
  t.throws(() => write('three'), { message: /was moved away or replaced/ });
  t.deepEqual(await readdir(outside), []);
});

test('a symlink that is there first, or a file, is refused by name', async (t) => {
  const { root, outside, write } = await open(t);
  await symlink(outside, join(root, 'link'));
  await writeFile(join(root, 'file'), '');
  t.throws(() => write('link/x'), { message: '"link/x" is not written: "link" is a symlink there.' });
  t.throws(() => write('file/y/x'), { message: '"file/y/x" is not written: "file" is not a folder there.' });
  t.deepEqual(await readdir(outside), []);
});

// Alone: open files are counted, which are the whole process's.
test.serial('few folders are open at a time; one that is opened anew must be the same', async (t) => {
  const { root, outside, tree, write } = await open(t);
  const before = readdirSync('/proc/self/fd').length;
  for (let n = 0; n < 1_000; n += 1) write(`folder-${n % 500}/deep/file-${n}`);
  t.true(readdirSync('/proc/self/fd').length <= before + 128);
  t.is(Object.keys(await readTree(root)).length, 1_000);
  tree.assertInPlace();
  await rm(join(root, 'folder-0'), { recursive: true });
  t.throws(() => write('folder-0/deep/again'), { message: /^"folder-0" was moved away or replaced/ });
  // A new folder may get the inode of the one that is gone: then it is the one below it that is missed.
  await mkdir(join(root, 'folder-0'));
  t.throws(() => write('folder-0/deep/again'), { message: /^"folder-0(\/deep)?" was moved away or replaced/ });
  await rmdir(join(root, 'folder-0'));
  await symlink(outside, join(root, 'folder-0'));
  t.throws(() => write('folder-0/deep/again'), {
    message: '"folder-0/deep/again" is not written: "folder-0" is a symlink there.',
  });
  tree.close();
  t.is(readdirSync('/proc/self/fd').length, before);
});

test('folders that two trees of one directory used must be the same ones', async (t) => {
  const { root, tree, write } = await open(t);
  const other = OpenTree.of(tree.root.handle);
  t.is(tree.find('c/d/e'), null);
  write('a/b/one');
  for (const path of ['a/b/two', 'c/d/e']) other.make(path);
  tree.addUsed(other.takeUsed());
  t.deepEqual(other.takeUsed(), []);
  tree.assertInPlace();
  await rename(join(root, 'a'), join(root, 'away'));
  const third = OpenTree.of(tree.root.handle);
  third.make('a/b/three');
  t.throws(() => tree.addUsed(third.takeUsed()), { message: /^"a" was moved away or replaced/ });
});

test('a folder that is removed while it is open: its files are refused', async (t) => {
  const { root, write } = await open(t);
  write('a/one');
  await rm(join(root, 'a'), { recursive: true });
  t.throws(() => write('a/two'), { message: /^"a" was moved away or replaced/ });
});

test('nothing is replaced but an empty file that a pull left', async (t) => {
  const { root, hidden, write } = await open(t);
  await writeTree(root, { empty: '', mine: 'not yours', same: 'same', 'cut off': '', 'not cut off': 'mine' });
  const differs = { code: 'file_differs' };
  t.throws(() => write('empty'), differs);
  t.throws(() => write('mine'), differs);
  t.notThrows(() => write('same'));
  write('cut off', { unfinished: true });
  t.throws(() => write('not cut off', { unfinished: true }), differs);
  await link(join(root, 'mine'), join(root, 'linked'));
  t.throws(() => write('linked', { unfinished: true }), differs);
  for (const [path, text] of [
    ['empty', ''],
    ['mine', 'not yours'],
    ['cut off', 'cut off'],
    ['not cut off', 'mine'],
    ['linked', 'not yours'],
  ] as const) {
    t.is(await readFile(join(root, path), 'utf8'), text);
  }
  t.deepEqual(await readdir(hidden), []);
});

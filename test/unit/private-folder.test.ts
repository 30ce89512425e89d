import { spawnSync } from 'node:child_process';
import { link, mkdir, readdir, readFile, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { OpenFolder } from '../../cli/client/target/open-folder.ts';
import { PrivateFolder } from '../../cli/client/target/private-folder.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];

async function place(t: ExecutionContext) {
  const root = await tempFolder(t);
  const open = () => PrivateFolder.open(OpenFolder.open(root), 'pkg_1');
  /** The folder of a pull whose process is gone, with these files in it. */
  const abandon = async (files: Record<string, string>): Promise<string> => {
    const before = new Set(await readdir(root));
    open().folder.close();
    const name = (await readdir(root)).find((each) => !before.has(each)) as string;
    const gone = spawnSync('true').pid;
    const left = join(root, name.replace(`-${process.pid}-`, `-${gone}-`));
    await rename(join(root, name), left);
    return writeTree(left, files);
  };
  return { root, open, abandon, only: async () => join(root, (await readdir(root))[0] as string) };
}

test('folders that were left become one: a file and its journal are of the same pull', async (t) => {
  const { root, open, abandon, only } = await place(t);
  await abandon({ [`${A}.part`]: 'one', temporary: '' });
  await abandon({ [`${A}.part`]: 'two', [`${A}.ranges`]: 'two', [`${B}.part`]: 'two', [`${B}.ranges`]: 'two' });
  const taken = open();
  t.true(taken.continued);
  t.is((await readdir(root)).length, 1);
  const found: Record<string, string> = {};
  for (const name of await readdir(await only())) found[name] = await readFile(join(await only(), name), 'utf8');
  const journal = found[`${A}.ranges`];
  t.is(journal, found[`${A}.part`] === 'one' ? undefined : 'two');
  t.is(found[`${B}.part`], 'two');
  t.is(found[`${B}.ranges`], 'two');
  t.false('temporary' in found);
  taken.close({ keep: false });
  t.deepEqual(await readdir(root), []);
});

test('what is left under another name too, or is a symlink, goes; what it leads to stays', async (t) => {
  const { root, open, abandon, only } = await place(t);
  const outside = await writeTree(await tempFolder(t), {
    linked: 'mine',
    'led to': 'mine too',
    'folder/x': 'mine as well',
  });
  const before = await readTree(outside);
  const left = await abandon({});
  await link(join(outside, 'linked'), join(left, `${A}.part`));
  await symlink(join(outside, 'led to'), join(left, `${A}.ranges`));
  await symlink(join(outside, 'folder'), join(left, `${B}.part`));
  await symlink(join(outside, 'folder'), join(left, 'other'));
  const taken = open();
  t.deepEqual(await readdir(await only()), []);
  taken.close({ keep: false });
  t.deepEqual(await readdir(root), []);
  t.deepEqual(await readTree(outside), before);
});

test('a symlink with the name of a folder that was left is not taken over, and not followed', async (t) => {
  const { root, open, abandon } = await place(t);
  const outside = await writeTree(await tempFolder(t), { [`${A}.part`]: 'mine', mine: '' });
  const left = await abandon({});
  await rename(left, `${left}0`);
  await symlink(outside, left);
  const taken = open();
  t.true(taken.continued, 'the folder beside it');
  taken.close({ keep: false });
  t.is((await readdir(root)).length, 1);
  t.deepEqual((await readdir(outside)).sort(), [`${A}.part`, 'mine']);
});

test('a folder that somebody put into it stays, and harms nobody', async (t) => {
  const { root, open, only } = await place(t);
  const opened = open();
  await mkdir(join(await only(), 'theirs'));
  t.notThrows(() => opened.close({ keep: false }));
  t.deepEqual(await readdir(join(root, await readdir(root).then(([name = '']) => name))), ['theirs']);
});

test('somebody who gives its name to another folder keeps nobody from ending', async (t) => {
  const { root, open, only } = await place(t);
  const outside = await writeTree(await tempFolder(t), { mine: '' });
  const opened = open();
  const own = await only();
  await rename(own, join(root, 'away'));
  await symlink(outside, own);
  t.notThrows(() => opened.close({ keep: false }));
  t.deepEqual(await readdir(outside), ['mine']);
  t.deepEqual(await readdir(join(root, 'away')), []);
});

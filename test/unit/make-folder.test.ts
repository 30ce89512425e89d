import { mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { makeFolder } from '../../src/make-folder.ts';
import { tempFolder } from '../support/temp.ts';

test('what is missing is made, with its mode; what is there stays as it is', async (t) => {
  const folder = await tempFolder(t);
  await mkdir(join(folder, 'a'), { mode: 0o755 });
  await symlink('a', join(folder, 'link'));
  for (const path of ['a/b/c', 'a/b/c', 'link/d/', 'a/x/../y', 'a']) {
    makeFolder(`${folder}/${path}`, 0o700);
    t.true((await stat(`${folder}/${path}`)).isDirectory(), path);
  }
  t.is((await stat(join(folder, 'a'))).mode & 0o777, 0o755);
  for (const made of ['a/b', 'a/b/c', 'a/d']) t.is((await stat(join(folder, made))).mode & 0o777, 0o700, made);
});

test('where no folder can be made it is an error, and never a loop', async (t) => {
  const folder = await tempFolder(t);
  await writeFile(join(folder, 'file'), '');
  await symlink('nowhere', join(folder, 'dangling'));
  await symlink('loop', join(folder, 'loop'));
  const cases: Array<[path: string, code: string]> = [
    [join(folder, 'file'), 'EEXIST'],
    [join(folder, 'file/below'), 'ENOTDIR'],
    [join(folder, 'dangling'), 'EEXIST'],
    [join(folder, 'dangling/below'), 'EEXIST'],
    [join(folder, 'loop/below'), 'ELOOP'],
    ['/proc/none', 'ENOENT'],
    ['/proc/none/below/it', 'ENOENT'],
    ['', 'ENOENT'],
  ];
  for (const [path, code] of cases) t.throws(() => makeFolder(path), { code }, path);
});

import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { runCli } from '../support/cli-child.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

test('a registry beside another’s bytes, beside none, or without its own file is refused with what to do: exit 4', async (t) => {
  const folder = await tempFolder(t);
  const env = { XDG_CACHE_HOME: join(folder, 'cache') };
  const local = (...args: string[]) => runCli([...args, '--json'], { env, cwd: folder });
  for (const store of ['one', 'two']) {
    await writeTree(join(folder, `run-${store}`), { [store]: store });
    t.is((await local('push', `run-${store}`, '--producer', 'tests', '--local', '--data-dir', store)).code, 0);
  }
  const move = (from: string, to: string) => rename(join(folder, from), join(folder, to));
  const refused = async (what: RegExp): Promise<void> => {
    for (const verb of [
      ['ls', '--local'],
      ['serve', '--port', '0'],
    ]) {
      const ended = await local(...verb, '--data-dir', 'one');
      t.is(ended.code, 4, ended.stdout + ended.stderr);
      t.is(ended.json.error.code, 'store_refused');
      t.regex(ended.json.error.message, what);
    }
  };

  await move('one/blobs', 'kept');
  await move('two/blobs', 'one/blobs');
  await refused(/^The store \(folder .*one\/blobs\) does not belong to the registry \(SQLite in the data folder\)/);
  await rm(join(folder, 'one/blobs'), { recursive: true });
  await refused(/has none of their bytes.*restore it from a backup/);
  await rm(join(folder, 'one/blobs'), { recursive: true });
  await move('kept', 'one/blobs');
  t.is((await local('ls', '--local', '--data-dir', 'one')).json.items.length, 1, 'it works again');

  await move('one/registry.sqlite', 'registry.kept');
  await refused(/has packages, but the registry .* knows none.*Restore the registry from a backup/);
  await writeFile(join(folder, 'one/registry.sqlite'), '');
  await refused(/has packages, but the registry .* knows none/);
  await move('registry.kept', 'one/registry.sqlite');
  t.is((await local('ls', '--local', '--data-dir', 'one')).json.items.length, 1);
});

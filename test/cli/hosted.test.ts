import test from 'ava';
import { type CliOptions, runCli } from '../support/cli-child.ts';
import { CliHosts } from '../support/cli-hosts.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

// Most tests of the command line run several commands in one process (cli-hosts.ts): they must see what a process each would show.

const service = await startTestService();
test.after.always(() => service.dispose());

test('a command in a process that runs several ends as it does in one of its own', async (t) => {
  const folder = await tempFolder(t);
  await writeTree(folder, { 'run/a': 'a', 'run/below/b': 'b' });
  const options: CliOptions = {
    env: { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: `${folder}/cache` },
    cwd: folder,
  };
  const pushed = await runCli(['push', 'run', '--producer', 'tests', '--json'], options);
  t.is(pushed.code, 0, pushed.stderr);
  const { package_id: id } = pushed.json;
  const lines = [
    ['--help'],
    ['--version'],
    ['pusk'],
    ['pusk', '--json'],
    ['push', 'nothing', '--producer', 'tests'],
    ['show', id, '--json'],
    ['ls'],
    ['verify', id, '--against', 'run', '--json'],
    ['diff', 'run', id],
    ['cat', id, 'below/b'],
    ['show', 'nobody'],
  ];
  for (const line of lines) {
    const hosted = await runCli(line, options);
    const alone = await runCli(line, { ...options, alone: true });
    const { code, bytes, stderr } = alone;
    t.like(hosted, { code, bytes, stderr }, line.join(' '));
  }
});

test('commands that wait for a process keep apart: each has its directory, and its output is its own', async (t) => {
  const hosts = new CliHosts(2);
  const folders = await Promise.all(Array.from({ length: 6 }, () => tempFolder(t)));
  await Promise.all(
    folders.map(async (folder, n) => {
      await writeTree(folder, { 'run/n': `${n}` });
      const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: `${folder}/cache` };
      const run = (...args: string[]) => hosts.run({ args, env, cwd: folder });
      const pushed = await run('push', 'run', '--producer', 'tests', '--external-id', `n ${n}`, '--json');
      t.is(pushed.code, 0, String(pushed.stderr));
      const { package_id: id } = JSON.parse(String(pushed.stdout));
      t.is((await run('pull', id, 'copy')).code, 0);
      t.deepEqual(await readTree(`${folder}/copy`), await readTree(`${folder}/run`));
    }),
  );
});
